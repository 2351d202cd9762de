//go:build linux && !portable

package lease

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lock takes a lock; false means that another has it and wait was false.
func (j *journal) lock(which int64, wait bool) (bool, error) {
	how := unix.F_OFD_SETLK
	if wait {
		how = unix.F_OFD_SETLKW
	}
	for {
		err := unix.FcntlFlock(j.file.Fd(), how, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: which, Len: 1})
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, fmt.Errorf("lock %s: %w", j.path, err)
		}
	}
}

func (j *journal) unlock(which int64) error {
	return unix.FcntlFlock(j.file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Whence: io.SeekStart, Start: which, Len: 1})
}

// locked reports whether another process holds the lock of the run.
func (j *journal) locked() (bool, error) {
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: lockRun, Len: 1}
	if err := unix.FcntlFlock(j.file.Fd(), unix.F_OFD_GETLK, &l); err != nil {
		return false, fmt.Errorf("look at the lock of %s: %w", j.path, err)
	}
	return l.Type != unix.F_UNLCK, nil
}

// removeJournal removes a journal, which no run has any more.
func removeJournal(path string) error { return os.Remove(path) }
