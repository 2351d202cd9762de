package evidence

import (
	"fmt"
	"path/filepath"

	"github.com/stormctl/stormctl/load/input"
)

// ReadTimeline reads of a run what its timeline has: all but the records of single
// requests and exchanges. It costs what the run's seconds do, whatever the rate.
func ReadTimeline(dir string) (*Run, error) {
	run := newRun()
	if err := run.readTimeline(dir); err != nil {
		return nil, err
	}
	run.settleEnd()
	return run, nil
}

// Events calls each with every event of the timeline of a run directory, in its order.
func Events(dir string, each func(Event)) error {
	f, err := input.OpenBelow(dir, TimelineFile)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := readTimeline(f, each); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Join(dir, TimelineFile), err)
	}
	return nil
}
