package chaos

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/testbed"
)

// Either file ends the run, and says which it was.
func TestStopFiles(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	held, err := lease.Open(lease.Options{State: state, Name: "x", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	stop := filepath.Join(t.TempDir(), "stop")
	for _, row := range []struct{ file, want string }{
		{stop, "stopped by the stop file " + stop},
		{filepath.Join(state, "halt"), "stopped by stormctl halt"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		why := make(chan string, 1)
		watching := WatchStopFiles(ctx, stop, held, time.Now().Add(-time.Second), func(s Stopped) { why <- s.Why })
		if err := os.WriteFile(row.file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := <-why; got != row.want {
			t.Errorf("%q, want %q", got, row.want)
		}
		cancel()
		watching.Wait()
		if err := os.Remove(row.file); err != nil {
			t.Fatal(err)
		}
	}
	if err := testbed.CheckStopFile(filepath.Join(stop, "below")); err != nil {
		t.Errorf("a file in a folder that is not there: %v", err)
	}
	if err := testbed.CheckStopFile(""); err != nil {
		t.Error(err)
	}
}
