package input

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// OpenBelow opens a regular file of a directory that others may have made, as a
// run directory is that is handed on. It does not wait for anybody, and no link
// leads out of the directory. The error is an *fs.PathError, and names the file.
func OpenBelow(dir, name string) (*os.File, error) {
	f, err := openBelow(dir, name)
	if err == nil {
		return f, nil
	}
	return nil, &fs.PathError{Op: "open", Path: filepath.Join(dir, name), Err: cause(err)}
}

// OpenDir opens a directory that a user names. It is looked at before: to open a FIFO
// would wait until another process writes to it.
func OpenDir(dir string) (*os.Root, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}

func openBelow(dir, name string) (*os.File, error) {
	root, err := OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return OpenInside(root, name)
}

// OpenInside is OpenBelow of a directory that is open. The error names the file alone.
func OpenInside(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = regular(info.Mode())
	}
	if err != nil {
		_ = f.Close() // it was only looked at
		return nil, err
	}
	return f, nil
}

// ReadBelow reads a file of a kind as OpenBelow opens it.
func ReadBelow(dir, name string, k Kind) ([]byte, error) {
	f, err := OpenBelow(dir, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readOpen(f, k)
	if err == nil && !k.Binary {
		data, err = Plain(data)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: filepath.Join(dir, name), Err: err}
	}
	return data, nil
}

// Line reads up to and with the next line's end, as bufio.Reader.ReadBytes does:
// at the end of the input what is left comes with io.EOF. A line of more than most
// bytes is an error, and costs little more memory than that.
func Line(r *bufio.Reader, most int) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > most {
			return nil, fmt.Errorf("it is longer than %s", size(int64(most)))
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}
