package lease

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// Halt tells every run of the machine that we may signal to end, and waits until
// they have, with everything undone, at most so long. It returns those that
// ended and those that did not.
func Halt(ctx context.Context, within time.Duration) (ended, left []Run, err error) {
	dirs, err := haltDirs()
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	var runs []Run
	for _, dir := range dirs {
		if ours(dir) == nil {
			errs = append(errs, askToHalt(dir)) // before they are listed: one that begins meanwhile sees it
		} // in another's folder nothing is written: the file could be a link to anywhere
		found, err := Runs(dir)
		errs = append(errs, err)
		runs = append(runs, found...)
	}
	for _, r := range runs {
		if !mayEnd(r) {
			continue // the file tells it
		}
		errs = append(errs, r.Process.Signal(syscall.SIGTERM))
	}
	left = Ended(ctx, runs, within)
	for _, r := range runs {
		if r.Over() {
			ended = append(ended, r)
		}
	}
	return ended, left, errors.Join(errs...)
}

// mayEnd reports whether the process that a journal names is its writer's: root
// must not be led by another user's journal to end a third one's process.
func mayEnd(r Run) bool {
	if _, namespace := proc.Here(); namespace != r.Namespace {
		return false
	}
	info, err := os.Stat(r.Journal)
	if err != nil {
		return false
	}
	writer, ok := info.Sys().(*syscall.Stat_t)
	runner, alive := proc.Owner(r.Process.Pid)
	return ok && alive && writer.Uid == runner
}

// haltDirs are our folders, and for root those of all users.
func haltDirs() ([]string, error) {
	dirs, err := StateDirs()
	if err != nil || os.Geteuid() != 0 || os.Getenv(StateEnv) != "" {
		return dirs, err
	}
	for _, pattern := range []string{"/run/user/*/stormctl", filepath.Join(os.TempDir(), "stormctl-*")} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, dir := range found {
			if info, err := os.Lstat(dir); err == nil && info.IsDir() && ours(dir) != nil {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs, nil
}

// String names the run for people.
func (h Header) String() string {
	return fmt.Sprintf("%s (process %d, %s)", h.Name, h.Process.Pid, h.Dir)
}
