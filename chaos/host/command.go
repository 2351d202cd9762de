package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/chaos/lease"
)

// Command runs a command to inject and another to heal. The second also runs if
// the first failed: it may have done half of its work.
type Command struct {
	Leased
	InjectWith []string
	HealWith   []string
	Dir        string
	Within     time.Duration // of each
	Output     string        // file that what they write is added to; "" keeps it for errors alone
}

func (f Command) Inject(ctx context.Context) (Heal, error) {
	inject, err := found(f.InjectWith, f.Dir)
	if err != nil {
		return nil, err
	}
	heal, err := found(f.HealWith, f.Dir) // now: the guardian or heal may perform it from elsewhere
	if err != nil {
		return nil, err
	}
	undo := lease.Undo{Kind: lease.Exec, Command: heal, Dir: f.Dir, Timeout: f.Within}
	if f.Output != "" {
		if undo.Output, err = filepath.Abs(f.Output); err != nil {
			return nil, err
		}
	}
	return f.underLease(ctx, []lease.Undo{undo}, func(ctx context.Context, m *lease.Injection) (err error) {
		c := lease.Command{Argv: inject, Dir: f.Dir, Within: f.Within}
		if f.Output != "" {
			file, err := os.OpenFile(f.Output, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, file.Close()) }()
			c.Stdout = file
		}
		return m.Run(ctx, c)
	})
}

// found gives the program of a command by its path, as it is seen from here.
func found(command []string, dir string) ([]string, error) {
	program := command[0]
	if strings.Contains(program, "/") && !filepath.IsAbs(program) {
		program = filepath.Join(dir, program)
	}
	path, err := exec.LookPath(program)
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("command %q not found in PATH", command[0])
	}
	if err != nil {
		return nil, fmt.Errorf("command %q cannot be run: %w", command[0], err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	return append([]string{path}, command[1:]...), nil
}

func (f Command) String() string { return "exec " + strings.Join(f.InjectWith, " ") }

func (f Command) Check(context.Context) error {
	var errs []error
	for _, c := range [][]string{f.InjectWith, f.HealWith} {
		_, err := found(c, f.Dir)
		errs = append(errs, err)
	}
	if _, err := os.Stat(f.Dir); f.Dir != "" && err != nil {
		errs = append(errs, fmt.Errorf("working folder: %w", err))
	}
	return errors.Join(errs...)
}

func (f Command) Plan() Plan {
	return Plan{"whatever this does: " + strings.Join(f.InjectWith, " "), strings.Join(f.HealWith, " ")}
}
