package input

import (
	"errors"
	"io/fs"
	"os"
)

// Create makes a file, or empties it, and follows no link: whose it is does not show here.
func Create(name string) (*os.File, error) {
	info, err := os.Lstat(name)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, &fs.PathError{Op: "create", Path: name, Err: errors.New("it is a link: give another name")}
	}
	return os.Create(name)
}
