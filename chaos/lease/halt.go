package lease

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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
		errs = append(errs, r.Process.Signal(unix.SIGTERM))
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
	if _, namespace := here(); namespace != r.Namespace {
		return false
	}
	owner := func(path string) (uint32, bool) {
		info, err := os.Stat(path)
		if err != nil {
			return 0, false
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		return st.Uid, ok
	}
	writer, ok := owner(r.Journal)
	runner, alive := owner("/proc/" + strconv.Itoa(r.Process.Pid))
	return ok && alive && writer == runner
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
