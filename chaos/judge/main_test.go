package judge

import (
	"os"
	"runtime/debug"
	"testing"
)

// What a simulation makes is garbage soon, and collecting it early took half of
// the time of these tests.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
