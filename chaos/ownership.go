//go:build unix

package chaos

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stormctl/stormctl/chaos/lease"
)

// refuseForeign refuses a run directory that somebody else may have made, or changed: to go on
// with it starts the programs that its experiment names, and writes into its files. Those
// of targets are none of these, and are theirs to change.
func refuseForeign(dir string) error {
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
	if err := refuseShared(dir); err != nil {
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

// refuseShared refuses a folder for what root writes in which another user, or in
// one above it, could put links in the place of what is there. Of a folder that is
// yet to be made it looks at those that are there: root makes the others, or
// nothing. Everybody else writes only what he may write anyhow.
func refuseShared(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	at, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find the folder that we are in: %w", err)
	}
	for above := at; ; above = filepath.Dir(above) { // as it is written: who owns a link may have it lead elsewhere at any time
		if info, err := os.Lstat(above); err == nil && (lease.OthersOwn(info) || info.IsDir() && lease.OthersMayWrite(info)) {
			return sharedError(dir, above)
		}
		if filepath.Dir(above) == above {
			break
		}
	}
	for {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(at) == at {
			break
		}
		at = filepath.Dir(at)
	}
	at, err = filepath.EvalSymlinks(at)
	if err != nil {
		return err
	}
	for {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if lease.OthersMayWrite(info) {
			return sharedError(dir, at)
		}
		if filepath.Dir(at) == at {
			return nil
		}
		at = filepath.Dir(at)
	}
}

func sharedError(dir, at string) error {
	return fmt.Errorf("run directory %s: another user may change %s, and root would write through the links that he puts there:"+
		" give an --out that only root can write, like /var/lib/stormctl/%s, or run as that user", dir, at, filepath.Base(dir))
}
