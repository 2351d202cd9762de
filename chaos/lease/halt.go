package lease

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Halt tells every run of this user to end, and waits until they have, with
// everything undone, at most so long. It returns those that ended and those that
// did not. Runs of others are not touched, by root neither: whose process a
// journal names is its writer's word (Others lists where they are).
func Halt(ctx context.Context, within time.Duration) (ended, left []Run, err error) {
	dirs, err := StateDirs()
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	var runs []Run
	for _, dir := range dirs {
		errs = append(errs, askToHalt(dir)) // before they are listed: one that begins meanwhile sees it
		found, err := Runs(dir)
		errs = append(errs, err)
		runs = append(runs, found...)
	}
	for _, r := range runs {
		if r.here() { // its pid means nothing elsewhere; the file tells it
			errs = append(errs, r.Process.Signal(syscall.SIGTERM))
		}
	}
	left = Ended(ctx, runs, within)
	for _, r := range runs {
		if r.Over() {
			ended = append(ended, r)
		}
	}
	return ended, left, errors.Join(errs...)
}

// String names the run for people.
func (h Header) String() string {
	return fmt.Sprintf("%s (process %d, %s)", h.Name, h.Process.Pid, h.Dir)
}
