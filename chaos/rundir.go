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
	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/load/input"
)

// The files of a run directory beside those of package evidence.
const (
	ExperimentFile = "experiment.yaml" // as resolved: what the run really did
	routeLog       = "front.hlog"

	notStartedFile = "not-started.txt" // why a run could not start, in the directory of one that did not
)

// linkLog is the histogram log of a link; a link called front is told apart
// from routeLog.
func linkLog(link string) string { return "link-" + link + ".hlog" }

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

// begun says why there is nothing to rule on in dir: it is no run directory, or
// its run has no timeline; nil if it has one. goesOn is whether the run does.
func begun(dir string, goesOn bool) error {
	there := func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err == nil
	}
	if why, err := input.ReadBelow(dir, notStartedFile, input.Note); err == nil {
		return fmt.Errorf("the run of %s could not start, and there is nothing to rule on: %s", dir, strings.TrimSpace(string(why)))
	}
	switch {
	case there(evidence.TimelineFile):
		return nil
	case !there(ExperimentFile):
		return fmt.Errorf("%s is not a run directory (%s): stormctl run FILE --out DIR makes one, or runs/NAME-TIME without --out,"+
			" with %s, %s and the evidence in it", dir, whatElse(dir), ExperimentFile, evidence.TimelineFile)
	case goesOn:
		return fmt.Errorf("the run of %s has not begun, and there is nothing to rule on yet: it is starting its targets", dir)
	}
	return fmt.Errorf("the run of %s has not begun, and there is nothing to rule on: it was killed before its targets were ready;"+
		" nothing was injected (what they said is in %s)", dir, filepath.Join(dir, "targets"))
}

// whatElse says what dir is that is no run directory.
func whatElse(dir string) string {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is nothing of that name"
	case err != nil:
		return err.Error()
	case !info.IsDir():
		return "it is a file"
	}
	if runs, _ := filepath.Glob(filepath.Join(dir, "*", evidence.TimelineFile)); len(runs) > 0 {
		return "it holds some, like " + filepath.Dir(runs[len(runs)-1])
	}
	return "it has no " + evidence.TimelineFile
}

// goesOn reports whether the run of dir is alive, by the journal that each run
// keeps locked while it is. One of another user, or with another folder of
// journals, is not found.
func goesOn(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	folders, _ := lease.StateDirs() // without them there is no run to be found
	for _, folder := range folders {
		runs, _ := lease.Runs(folder) // those that can be read
		for _, r := range runs {
			if sameFile(r.Dir, dir) {
				return true
			}
		}
	}
	return false
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// writeNew writes a file of a run directory, which must not exist.
func writeNew(dir *os.Root, name string, data []byte) error {
	f, err := dir.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
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
