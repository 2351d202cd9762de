//go:build unix

package chaos

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/chapters"
	"github.com/stormctl/stormctl/chaos/evidence"
)

// makeRunDir makes the directory of a run. It is for its owner alone: requests,
// answers and what targets were given may stand in it. A directory that holds something
// already is refused: one run must not bury another. What a run left that could
// not start is no run, and makes room. Of two runs that take the same empty one,
// the second fails to write its experiment.
func makeRunDir(out, name string, now time.Time) (string, error) {
	if out != "" {
		if err := refuseShared(out); err != nil {
			return "", err
		}
		if err := os.MkdirAll(out, 0o700); err != nil {
			return "", err
		}
		if err := clearNotStarted(out); err != nil {
			return "", err
		}
		entries, err := os.ReadDir(out)
		if err != nil {
			return "", err
		}
		if len(entries) > 0 {
			return "", fmt.Errorf("run directory %s is not empty: give another --out, or remove it", out)
		}
		return out, subdirs(out)
	}
	if err := refuseShared("runs"); err != nil {
		return "", err
	}
	if err := os.MkdirAll("runs", 0o755); err != nil {
		return "", fmt.Errorf("make a folder for the run here: %w: give it another place by --out", err)
	}
	base := filepath.Join("runs", name+"-"+now.Format("20060102-150405"))
	for i := 1; ; i++ {
		dir := base
		if i > 1 {
			dir += "-" + strconv.Itoa(i)
		}
		err := os.Mkdir(dir, 0o700) // fails if there is one: two runs in a second get two directories
		if err == nil {
			return dir, subdirs(dir)
		}
		if !errors.Is(err, os.ErrExist) {
			return "", err
		}
	}
}

// noteNotStarted leaves word in a run directory that its run could not start.
// What is there stays to be looked at: the targets' output says why they did
// not get ready.
func noteNotStarted(dir *os.Root, why error) error {
	return writeNew(dir, notStartedFile, []byte(why.Error()+"\n"))
}

// clearNotStarted removes what a run left that could not start, and nothing
// else: where there is more beside it, all of it stays.
func clearNotStarted(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	made := []string{ExperimentFile, evidence.TimelineFile, "evidence", "targets", "tls", routeLog, notStartedFile,
		chapters.Folder, chapters.File, evidence.SegmentsFolder, lockFile}
	for _, e := range entries {
		link, isLog := strings.CutSuffix(strings.TrimPrefix(e.Name(), "link-"), ".hlog")
		if !slices.Contains(made, e.Name()) && !(isLog && linkLog(link) == e.Name()) {
			return nil
		}
	}
	switch err := os.Remove(filepath.Join(dir, notStartedFile)); {
	case errors.Is(err, fs.ErrNotExist): // it was another run, or another one makes room just now
		return nil
	case err != nil:
		return err
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}

// orRemoved says of a run directory that is gone that it is; otherwise it is the
// error.
func orRemoved(dir string, err error) error {
	if _, statErr := os.Lstat(dir); !errors.Is(statErr, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("run directory %s is gone: it was removed while the run went on, and what was seen with it; all is healed", dir)
}

func subdirs(dir string) error {
	return errors.Join(os.MkdirAll(filepath.Join(dir, "evidence"), 0o700), os.MkdirAll(filepath.Join(dir, "targets"), 0o700))
}

// MakeFolder makes a folder that runs are put in, as the directory of a run is made:
// out, which must be empty or not exist, or with "" one below runs that is named
// after name and now.
func MakeFolder(out, name string, now time.Time) (string, error) {
	dir, err := makeRunDir(out, name, now)
	if err != nil {
		return "", err
	}
	return dir, errors.Join(os.Remove(filepath.Join(dir, "evidence")), os.Remove(filepath.Join(dir, "targets")))
}
