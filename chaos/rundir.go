package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// The files of a run directory beside those of package evidence.
const (
	ExperimentFile = "experiment.yaml" // as resolved: what the run really did
	ResultFile     = "result.json"
	frontLog       = "front.hlog"
)

// linkLog is the histogram log of a link; a link called front is told apart
// from the front.
func linkLog(link string) string { return "link-" + link + ".hlog" }

// makeRunDir makes the directory of a run. A directory that holds something
// already is refused: one run must not bury another. Of two runs that take the
// same empty one, the second fails to write its experiment.
func makeRunDir(out, name string, now time.Time) (string, error) {
	if out != "" {
		if err := os.MkdirAll(out, 0o755); err != nil {
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
	if err := os.MkdirAll("runs", 0o755); err != nil {
		return "", err
	}
	base := filepath.Join("runs", name+"-"+now.Format("20060102-150405"))
	for i := 1; ; i++ {
		dir := base
		if i > 1 {
			dir += "-" + strconv.Itoa(i)
		}
		err := os.Mkdir(dir, 0o755) // fails if there is one: two runs in a second get two directories
		if err == nil {
			return dir, subdirs(dir)
		}
		if !errors.Is(err, os.ErrExist) {
			return "", err
		}
	}
}

// writeNew writes a file that must not exist.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func subdirs(dir string) error {
	return errors.Join(os.MkdirAll(filepath.Join(dir, "evidence"), 0o755), os.MkdirAll(filepath.Join(dir, "targets"), 0o755))
}
