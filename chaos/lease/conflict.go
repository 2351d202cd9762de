package lease

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// conflict refuses an undo that would bring back what another fault made, of this
// run or of another one: lowering a limit that is lowered already would take
// that for what it was, and a process that two have stopped goes on when the
// first of them lets go of it.
func (l *Lease) conflict(undo []Undo) error {
	l.mu.Lock()
	for _, s := range l.open {
		if collides(s.undo, undo) {
			l.mu.Unlock()
			return fmt.Errorf("%s is under %s already", s.undo.subject(), s.why)
		}
	}
	l.mu.Unlock()
	paths, err := journals(filepath.Dir(l.journal.path))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if path == l.journal.path {
			continue
		}
		j, err := openJournal(path, 0)
		if err != nil {
			continue // it is done with
		}
		h, open, err := j.read()
		_ = j.file.Close() // it was only read
		if err != nil {
			continue // nothing of it can be undone
		}
		for _, s := range open {
			if collides(s.undo, undo) {
				return fmt.Errorf("%s is under %s of run %s (process %d) already: "+
					"wait for its end, or run stormctl halt if it is alive and stormctl heal if not",
					s.undo.subject(), s.why, h.Name, h.Process.Pid)
			}
		}
	}
	return nil
}

// collides reports whether one of some undos does to a process what u does, or
// moves it back into the cgroup that goes with u.
func collides(u Undo, some []Undo) bool {
	for _, v := range some {
		switch {
		case v.Kind != u.Kind:
		case u.Kind == Regroup && (v.Home == u.Group || strings.HasPrefix(v.Home, u.Group+"/")):
			return true
		case u.Process != nil && v.Process != nil && v.Resource == u.Resource &&
			v.Process.Pid == u.Process.Pid && v.Process.Start == u.Process.Start && u.Process.there():
			return true
		}
	}
	return false
}

// subject is what it happens to, for people.
func (u Undo) subject() string {
	if u.Process != nil {
		return u.Process.String()
	}
	return "what is in cgroup " + u.Group
}

// lockDir keeps other runs from journalling an undo until release is called, so
// that of two that check at the same moment one sees the other's.
func (l *Lease) lockDir(ctx context.Context) (release func(), err error) {
	dir, err := os.Open(filepath.Dir(l.journal.path))
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockWithin); ; {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = dir.Close() }, nil // which unlocks it, and was only read
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(end) || !pause(ctx, time.Millisecond) {
			_ = dir.Close() // the error is another
			return nil, fmt.Errorf("lock %s, which another run has: %w", dir.Name(), err)
		}
	}
}

// lockWithin is how long others may take to journal an undo, on a busy disk.
const lockWithin = 3 * time.Second
