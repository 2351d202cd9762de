package chaos

import (
	"os"
	"testing"

	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/targets"
)

// TestMain lets the test program be what a run starts it as again: the supervisor
// of a target, or the guardian of what outlives it.
func TestMain(m *testing.M) {
	targets.Supervise()
	lease.Guard()
	os.Exit(m.Run())
}
