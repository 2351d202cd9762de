package lease

import (
	"path/filepath"
	"testing"
)

// A program that was started as a guardian and did not become one starts no other:
// it would go on like that.
func TestGuardianStartsNone(t *testing.T) {
	t.Setenv(guardianEnv, "journal")
	if g, err := startGuardian(filepath.Join(t.TempDir(), "journal")); err == nil {
		t.Errorf("it started one: %v", g.end())
	}
}
