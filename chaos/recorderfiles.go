package chaos

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/hist"
)

// openTimeline makes the timeline, or opens the one of a soak that is resumed.
func openTimeline(dir *os.Root, there bool) (*evidence.TimelineWriter, error) {
	if there {
		return evidence.AppendTimeline(dir, evidence.TimelineFile)
	}
	return made(dir, evidence.TimelineFile, func(f *os.File) (*evidence.TimelineWriter, error) { return evidence.TimelineIn(f), nil })
}

// createLog makes a histogram log, whose head is on disk when it returns.
func createLog(dir *os.Root, name string, started time.Time) (*hist.LogFile, error) {
	return made(dir, name, func(f *os.File) (*hist.LogFile, error) {
		log := hist.NewLogFile(f, started, "stormctl")
		if log.Err() != nil {
			return nil, log.Close()
		}
		return log, nil
	})
}

// made makes a file of a run directory, which must not exist, and begins it.
func made[T any](dir *os.Root, name string, begin func(*os.File) (T, error)) (made T, err error) {
	f, err := dir.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if at, ok := errors.AsType[*fs.PathError](err); ok { // it names the file alone
		err = &fs.PathError{Op: "create", Path: filepath.Join(dir.Name(), name), Err: at.Err}
	}
	if err != nil {
		return made, err
	}
	return begin(f)
}
