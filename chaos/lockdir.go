//go:build unix

package chaos

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/stormctl/stormctl/load/input"
)

// lockFile is in the directory of a soak, and locked by the process that records it.
const lockFile = "lock"

// lockDir takes the lock of a run directory: of two that would go on with one soak only
// the first does.
func lockDir(dir string) (unlock func(), err error) {
	root, err := input.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // it was only looked at
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another process goes on with the run of %s: stormctl halt ends it", dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil // which unlocks it
}
