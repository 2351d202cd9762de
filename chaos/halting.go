package chaos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/lease"
)

// lookForStop is how often the files are looked for that end a run.
const lookForStop = 200 * time.Millisecond

// WatchStopFiles ends a run when its stop file appears, or the machine's runs
// are halted, until ctx is done.
func WatchStopFiles(ctx context.Context, file string, held *lease.Lease, began time.Time, stop func(Stopped)) *sync.WaitGroup {
	var wg sync.WaitGroup
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
			case stopFileThere(file) != nil:
				stop(Stopped{"stopped by the stop file " + file})
				return
			case held != nil && lease.Halted(filepath.Dir(held.Journal()), began):
				stop(Stopped{"stopped by stormctl halt"})
				return
			}
		}
	})
	return &wg
}

// stopFileThere is an error if the stop file is there: a run that began
// nevertheless would end at once.
func stopFileThere(file string) error {
	if file == "" {
		return nil
	}
	switch _, err := os.Lstat(file); {
	case err == nil:
		return fmt.Errorf("the stop file %s is there: remove it to run", file)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return fmt.Errorf("look for the stop file: %w", err) // what cannot be seen must not be taken for absent
	}
}
