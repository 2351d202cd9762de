//go:build !linux || portable

package lease

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Where locks of parts of a file belong to processes and not to open files, the
// locks are of whole files: the run's is the journal's, and that to undo is of a file
// beside it.
const undoSuffix = ".undo"

// lock takes a lock; false means that another has it and wait was false.
func (j *journal) lock(which int64, wait bool) (bool, error) {
	f := j.file
	if which == lockUndo && j.undoing != nil {
		f = j.undoing
	} else if which == lockUndo {
		var err error
		if f, err = os.OpenFile(j.path+undoSuffix, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600); err != nil {
			return false, fmt.Errorf("lock %s: %w", j.path, err)
		}
	}
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	got, err := flock(f, how)
	switch {
	case which == lockRun, f == j.undoing:
	case got:
		j.undoing = f
	default:
		_ = f.Close() // nothing was written
	}
	return got, err
}

func (j *journal) unlock(which int64) error {
	if which == lockUndo {
		if j.undoing == nil {
			return nil
		}
		f := j.undoing
		j.undoing = nil
		return f.Close()
	}
	_, err := flock(j.file, unix.LOCK_UN)
	return err
}

// locked reports whether another process holds the lock of the run. We do not.
func (j *journal) locked() (bool, error) {
	free, err := flock(j.file, unix.LOCK_SH|unix.LOCK_NB)
	if free {
		err = errors.Join(err, j.unlock(lockRun))
	}
	return !free && err == nil, err
}

// flock reports false if another has the lock.
func flock(f *os.File, how int) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

// removeJournal removes a journal, which no run has any more, and what locks it.
func removeJournal(path string) error {
	err := os.Remove(path)
	if e := os.Remove(path + undoSuffix); e != nil && !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}
