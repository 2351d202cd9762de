package targets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process says how to start a service. The command must stay in the
// foreground: what it leaves behind when it ends is killed.
type Process struct {
	Name       string        // Names it in errors.
	Command    []string      // Program and arguments. A program without a slash is looked up in our PATH.
	Env        []string      // K=V, added to our environment.
	Dir        string        // Working folder; a program with a relative path is relative to it. Empty means ours.
	User       *User         // Whom it runs as; nil means as us.
	Netns      string        // Path of the network namespace that it runs in, as ip-netns(8) makes them; empty means ours. Linux alone.
	Output     string        // File that stdout and stderr are appended to, its middle cut out past 256 MiB; empty discards them.
	Ready      Probe         // How it shows that it is ready; zero means as soon as it runs.
	Soak       bool          // It runs for long: of its output the first 1 MiB and the last 8 MiB or more are kept.
	StopWithin time.Duration // Between SIGTERM and SIGKILL in Stop; 0 means 3s.

	readyProgram string // of Ready.Command, found by Start
}

const (
	defaultStopWithin  = 3 * time.Second
	defaultReadyWithin = 10 * time.Second
)

// Start starts a service and returns when it is ready. On an error nothing of
// it is left; the error says what happened and ends in the last lines of its
// output. A command that exits fails at once, not when the time is up.
func Start(ctx context.Context, p Process) (*Running, error) {
	p.StopWithin = cmp.Or(p.StopWithin, defaultStopWithin)
	p.Ready.Within = cmp.Or(p.Ready.Within, defaultReadyWithin)
	program, err := p.program()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	if p.readyProgram, err = p.Ready.program(p); err != nil {
		return nil, fmt.Errorf("start %s: ready: %w", p.Name, err)
	}
	r := &Running{process: p, program: program}
	if err := r.start(ctx); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	return r, nil
}

// Check finds the programs that Start would execute: what is not there is an error before
// anything starts.
func (p Process) Check() error {
	if _, err := p.program(); err != nil {
		return err
	}
	if _, err := p.Ready.program(p); err != nil {
		return fmt.Errorf("ready: %w", err)
	}
	return nil
}

// program finds the file to execute, so that a command that does not exist is
// an error here and not a riddle in the supervisor.
func (p Process) program() (string, error) {
	if len(p.Command) == 0 || p.Command[0] == "" {
		return "", errors.New("no command given")
	}
	name := p.Command[0]
	if p.Dir != "" {
		if info, err := os.Stat(p.Dir); err != nil {
			return "", fmt.Errorf("working folder: %w", err)
		} else if !info.IsDir() {
			return "", fmt.Errorf("working folder %s is not a folder", p.Dir)
		}
	}
	if strings.Contains(name, "/") && !filepath.IsAbs(name) {
		name = filepath.Join(p.Dir, name)
	}
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("command %q not found in PATH", name)
	}
	if err != nil {
		if wrapped, ok := errors.AsType[*exec.Error](err); ok {
			err = wrapped.Err
		}
		return "", fmt.Errorf("command %q cannot be run: %w", name, err)
	}
	return filepath.Abs(path)
}

// openOutput opens the output file for appending and returns where this
// incarnation's part of it begins.
func (p Process) openOutput() (*os.File, int64, error) {
	if p.Output == "" {
		f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		return f, 0, err
	}
	f, size, err := openPlain(p.Output, os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return nil, 0, fmt.Errorf("output: %w", err)
	}
	return f, size, nil
}

// openPlain opens a regular file, and returns its size. A target may put
// something else in the place of its own output or another's: a link is not
// followed, and a FIFO is not waited for.
func openPlain(path string, flags int) (*os.File, int64, error) {
	f, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file any more", path)
	}
	if err != nil {
		_ = f.Close() // nothing was written to it
		return nil, 0, err
	}
	return f, info.Size(), nil
}
