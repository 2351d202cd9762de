package chaos

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stormctl/stormctl/chaos/evidence"
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

// writeNew writes a file of a run directory, which must not exist.
func writeNew(dir *os.Root, name string, data []byte) error {
	f, err := dir.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
