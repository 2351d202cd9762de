//go:build unix

package chaos

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/stormctl/stormctl/chaos/lease"
)

// trusted refuses a run directory that somebody else may have made, or changed: to go on
// with it starts the programs that its experiment names, and writes into its files. Those
// of targets are none of these, and are theirs to change.
func trusted(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !lease.OwnedByUs(info) {
		return fmt.Errorf("run directory %s is another user's, and its experiment says what is started: resume it as that user", dir)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("run directory %s can be changed by other users (%v), and its experiment says what is started: "+
			"look at what is in it, and chmod go-w %s", dir, info.Mode().Perm(), dir)
	}
	if err := sheltered(dir); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && name == "targets":
			return fs.SkipDir
		case !e.IsDir() && !e.Type().IsRegular():
			return fmt.Errorf("%s in run directory %s is no regular file, and no run made it: what is written there would be elsewhere",
				name, dir)
		}
		return nil
	})
}
