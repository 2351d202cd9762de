package testbed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/stormctl/stormctl/load/input"
)

// writeNew makes a file below the run directory, and the folders above it: anew,
// and through no link, whatever a target that runs already has put there.
func writeNew(dir *os.Root, name string, content []byte) error {
	if !fs.ValidPath(name) || name == "." {
		return fmt.Errorf("%q is not a plain path", name)
	}
	folder, err := input.MakeFolder(dir, path.Dir(name))
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
