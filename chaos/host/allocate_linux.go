package host

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate takes space without writing it where the file system can.
func allocate(file *os.File, from, n int64) error {
	err := unix.Fallocate(int(file.Fd()), 0, from, n)
	for errors.Is(err, unix.EINTR) {
		err = unix.Fallocate(int(file.Fd()), 0, from, n)
	}
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	_, err = file.WriteAt(make([]byte, n), from)
	return err
}
