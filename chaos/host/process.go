package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/targets/proc"
)

// Subject is whose process a fault happens to.
type Subject interface {
	// Process is the one there is now. With Group set it stands for its group.
	Process() (lease.Process, error)
	String() string // for people
}

// PidFile is a process that we did not start: a file names it, and limits must
// allow it.
type PidFile struct {
	Path  string
	Allow []string // programs, by path or by name
}

// Process reads the file anew: the service may have been started again since.
func (f PidFile) Process() (lease.Process, error) {
	text, err := input.Read(f.Path, input.PidFile)
	if err != nil {
		return lease.Process{}, fmt.Errorf("pid_file: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 1 {
		return lease.Process{}, fmt.Errorf("pid_file %s: %.40q is not a pid", f.Path, strings.TrimSpace(string(text)))
	}
	p, err := lease.Identify(pid)
	if errors.Is(err, os.ErrNotExist) {
		return p, fmt.Errorf("pid_file %s: there is no process %d: the service has ended and left its file", f.Path, pid)
	}
	if err != nil {
		return p, fmt.Errorf("pid_file %s: %w", f.Path, err)
	}
	if err := f.allowed(pid); err != nil {
		return p, fmt.Errorf("pid_file %s: %w", f.Path, err)
	}
	if again, err := lease.Identify(pid); err != nil || again != p {
		return p, fmt.Errorf("pid_file %s: process %d ended meanwhile", f.Path, pid)
	}
	return p, nil
}

func (f PidFile) String() string {
	p, err := f.Process()
	if err != nil {
		return "the process that " + f.Path + " names"
	}
	program, _ := proc.Program(p.Pid)
	return fmt.Sprintf("process %d (%s), named by %s", p.Pid, program, f.Path)
}

// allowed refuses what limits do not name, and what must never be touched: the
// first process, and those that we run under.
func (f PidFile) allowed(pid int) error {
	if pid == 1 || slices.Contains(ancestors(), pid) {
		return fmt.Errorf("process %d is the first of the system, or stormctl's own, or runs it: it is never touched", pid)
	}
	program, err := proc.Program(pid)
	if err != nil {
		return fmt.Errorf("the program of process %d cannot be seen: %w", pid, err)
	}
	for _, a := range f.Allow {
		if a == program || !strings.Contains(a, "/") && a == filepath.Base(program) {
			return nil
		}
	}
	return fmt.Errorf("process %d runs %s, which is outside limits.processes (%s)", pid, program, strings.Join(f.Allow, ", "))
}

// ancestors are we and all that we run under.
func ancestors() []int {
	var all []int
	for pid := os.Getpid(); pid > 0; {
		all = append(all, pid)
		st, err := proc.Read(pid)
		if err != nil {
			break
		}
		pid = st.Parent // 0 ends it
	}
	return all
}

// family is the process of a subject and all its descendants.
func family(s Subject) ([]lease.Process, error) {
	p, err := s.Process()
	if err != nil {
		return nil, err
	}
	all := p.Family()
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has ended", p)
	}
	return all, nil
}
