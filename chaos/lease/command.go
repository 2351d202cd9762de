package lease

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// Command is a program to run to its end.
type Command struct {
	Argv   []string
	Dir    string
	Stdin  string
	Stdout io.Writer     // takes what it writes to either output; nil keeps the end of it for the error alone
	Within time.Duration // after that it is killed; 0 means 10s
	mark   string
}

// markEnv marks a command that makes a fault, and its children. An undo
// kills them by it first.
const markEnv = "STORMCTL_HELD"

// keptOutput is how much of what a command wrote stands in its error.
const keptOutput = 2 << 10

// runCommand runs it in a process group of its own, which is killed when the
// time is up or ctx is done. The error says how it ended and what it wrote last.
func runCommand(ctx context.Context, c Command) error {
	c.Within = cmp.Or(c.Within, commandWithin)
	running, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	cmd := exec.CommandContext(running, c.Argv[0], c.Argv[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if c.mark != "" {
		cmd.Env = append(cmd.Env, markEnv+"="+c.mark)
	}
	if c.Stdin != "" {
		cmd.Stdin = strings.NewReader(c.Stdin)
	}
	kept := &tailWriter{}
	cmd.Stdout = kept
	if c.Stdout != nil {
		cmd.Stdout = io.MultiWriter(c.Stdout, kept)
	}
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // a child that keeps its output open does not keep us
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well, and left something behind that writes on
	}
	if err == nil {
		return nil
	}
	if running.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("it did not end within %s", c.Within)
	}
	if text := strings.TrimSpace(kept.String()); text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// named is an error of a command with its words.
func named(argv []string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
}

// tailWriter keeps the last of what is written.
type tailWriter struct{ bytes.Buffer }

func (w *tailWriter) Write(p []byte) (int, error) {
	n := len(p)
	if len(p) > keptOutput {
		p = p[len(p)-keptOutput:]
	}
	if over := w.Len() + len(p) - keptOutput; over > 0 {
		w.Next(over)
	}
	w.Buffer.Write(p)
	return n, nil
}

// killMarked kills all that carry a mark and returns when none is left. Three
// times in a row none must be seen: for a moment of its start a program shows no
// environment.
func killMarked(ctx context.Context, mark string) error {
	want := []byte(markEnv + "=" + mark)
	for none := 0; none < 3; {
		left := 0
		for _, st := range proc.All() {
			environ, err := proc.Environ(st.Pid)
			if err != nil || !carries(environ, want) {
				continue
			}
			p := Process{Pid: st.Pid, Start: st.Start}
			if !p.there() {
				continue
			}
			left++
			if err := p.Signal(syscall.SIGKILL); err != nil {
				return err
			}
		}
		if none++; left > 0 {
			none = 0
		}
		if !pause(ctx, 10*time.Millisecond) {
			return fmt.Errorf("kill what carries %s: %w", want, context.Cause(ctx))
		}
	}
	return nil
}

func carries(environ, want []byte) bool {
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if bytes.Equal(v, want) {
			return true
		}
	}
	return false
}
