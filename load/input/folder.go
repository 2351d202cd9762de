package input

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// Folder opens a folder below another, named with slashes, through no link: os.Root lets
// none lead out, and follows those inside.
func Folder(in *os.Root, name string) (*os.Root, error) { return descend(in, name, false) }

// MakeFolder is Folder, and makes what is missing of it.
func MakeFolder(in *os.Root, name string) (*os.Root, error) { return descend(in, name, true) }

func descend(in *os.Root, name string, anew bool) (*os.Root, error) {
	if name = path.Clean(name); name == "." {
		return in.OpenRoot(".")
	}
	folder := in
	for part := range strings.SplitSeq(name, "/") {
		below, err := step(folder, part, anew)
		if folder != in {
			_ = folder.Close() // nothing was written to it
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: filepath.Join(in.Name(), filepath.FromSlash(name)), Err: cause(err)}
		}
		folder = below
	}
	return folder, nil
}

// step opens one folder in another, and compares what was opened with what stands there.
func step(folder *os.Root, name string, anew bool) (*os.Root, error) {
	if anew {
		if err := folder.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	there, err := folder.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !there.IsDir() {
		return nil, errNoFolder
	}
	below, err := folder.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	info, err := below.Stat(".")
	if err == nil && !os.SameFile(there, info) {
		err = errNoFolder
	}
	if err != nil {
		_ = below.Close() // it was only looked at
		return nil, err
	}
	return below, nil
}

var (
	errNoFolder = errors.New("something that is no folder stands in its place")
	errLink     = errors.New("a link stands in its place")
)

// OpenIn opens a regular file right in a folder, through no link and without waiting for
// anybody; flag is that of OpenFile. One that is made is for its owner alone.
func OpenIn(folder *os.Root, name string, flag int) (*os.File, error) {
	f, err := openIn(folder, name, flag)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(folder.Name(), name), Err: cause(err)}
	}
	return f, nil
}

func openIn(folder *os.Root, name string, flag int) (*os.File, error) {
	// Looked at before, because to open a FIFO may do something, and what a link leads to
	// would be made; and after, by the descriptor.
	there, err := folder.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0:
		flag |= os.O_EXCL
	case err != nil:
		return nil, err
	case there.Mode()&fs.ModeSymlink != 0:
		return nil, errLink
	default:
		if err := regular(there.Mode()); err != nil {
			return nil, err
		}
	}
	f, err := folder.OpenFile(name, flag|syscall.O_NONBLOCK, 0o600)
	if err != nil || there == nil {
		return f, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(there, info) {
		err = errLink
	}
	if err != nil {
		_ = f.Close() // it was only looked at
		return nil, err
	}
	return f, nil
}

// StatBelow is what stands below a directory that others may have made; no link leads
// out of it.
func StatBelow(dir, name string) (fs.FileInfo, error) {
	root, err := OpenDir(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Stat(name)
}

// cause is what went wrong with a file, without its name.
func cause(err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err
	}
	return err
}
