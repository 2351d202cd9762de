//go:build unix

package chaos

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/testbed"
)

// lookForStop is how often the files are looked for that end a run.
const lookForStop = 200 * time.Millisecond

// WatchStopFiles ends a run when its stop file appears, or the machine's runs
// are halted, until ctx is done.
func WatchStopFiles(ctx context.Context, file string, held *lease.Lease, began time.Time, stop func(Stopped)) *sync.WaitGroup {
	var wg sync.WaitGroup
	halted := func() bool { return false }
	if held != nil {
		halted = lease.LookForHalt(filepath.Dir(held.Journal()), began)
	}
	wg.Go(func() {
		ticker := time.NewTicker(lookForStop)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			switch {
			case testbed.CheckStopFile(file) != nil:
				stop(Stopped{"stopped by the stop file " + file})
				return
			case halted():
				stop(Stopped{"stopped by stormctl halt"})
				return
			}
		}
	})
	return &wg
}
