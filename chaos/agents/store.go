package agents

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	storePrefix = "stormctl-broker-"
	storeLock   = "lock"
	// storeYoung is how old a folder must be to be taken for one that somebody left: it
	// is made before it is locked.
	storeYoung = time.Minute
)

// NewStore makes a folder for the streams of a broker, in the folder for temporary files,
// and first removes those that runs left there which were killed. remove removes it.
func NewStore() (dir string, remove func() error, err error) {
	removeLeft(os.TempDir())
	if dir, err = os.MkdirTemp("", storePrefix); err != nil {
		return "", nil, err
	}
	lock, err := lockStore(dir, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() error { return errors.Join(os.RemoveAll(dir), lock.Close()) }, nil
}

// lockStore holds a folder for the life of this process: the kernel lets it go with that.
func lockStore(dir string, flags int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, storeLock), os.O_RDWR|flags|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// removeLeft removes the folders of brokers below dir that are ours and that no process
// holds any more. It is tidying: what it cannot remove stays.
func removeLeft(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, storePrefix+"*"))
	for _, path := range left {
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < storeYoung {
			continue
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
			continue
		}
		lock, err := lockStore(path, 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			continue // somebody has it
		}
		_ = os.RemoveAll(path)
		if lock != nil {
			_ = lock.Close() // it is gone
		}
	}
}
