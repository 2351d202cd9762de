package testbed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// writeNew makes a file below the run directory, and the folders above it: anew,
// and through no link, whatever a target that runs already has put there.
func writeNew(dir *os.Root, name string, content []byte) error {
	if !fs.ValidPath(name) || name == "." {
		return fmt.Errorf("%q is not a plain path", name)
	}
	folder, err := descend(dir, path.Dir(name))
	if err != nil {
		return err
	}
	defer folder.Close()
	f, err := folder.OpenFile(path.Base(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// descend opens a folder below dir, and makes what is missing of it.
func descend(dir *os.Root, name string) (*os.Root, error) {
	folder, err := dir.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	if name == "." {
		return folder, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		below, err := step(folder, part)
		_ = folder.Close() // nothing was written to it
		if err != nil {
			return nil, fmt.Errorf("folder %s: %w", name, err)
		}
		folder = below
	}
	return folder, nil
}

// step opens one folder in another. os.Root lets no link lead out of the folder,
// and still follows those inside of it: so what was opened is compared with what
// stands there.
func step(folder *os.Root, name string) (*os.Root, error) {
	if err := folder.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
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

var errNoFolder = errors.New("something that is no folder stands in its place")
