//go:build unix

package input

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Create makes, or empties, a file that a user names to be written to, as os.Create does,
// but through no link of another user's: where others may write too, as in /tmp, one of
// theirs leads to whatever they would like to see gone.
func Create(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o666)
	if !errors.Is(err, syscall.ELOOP) {
		return f, err
	}
	info, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if is, ok := info.Sys().(*syscall.Stat_t); !ok || is.Uid != 0 && int(is.Uid) != os.Geteuid() {
		return nil, &fs.PathError{Op: "create", Path: name, Err: errors.New("it is a link of another user's: give another name")}
	}
	return os.Create(name)
}
