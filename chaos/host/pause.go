package host

import (
	"context"
	"syscall"

	"github.com/stormctl/stormctl/chaos/lease"
)

// Pause stops a process where it stands, with its group or its children.
type Pause struct {
	Leased
	Subject Subject
}

func (f Pause) Inject(ctx context.Context) (Heal, error) {
	all, err := group(f.Subject)
	if err != nil {
		return nil, err
	}
	return f.underLease(ctx, continueAll(all), func(context.Context, *lease.Injection) error { return stopAll(all) })
}

func (f Pause) String() string { return "pause" }

func (f Pause) Check(context.Context) error { return checkSubject(f.Subject) }

func (f Pause) Plan() Plan {
	return Plan{"SIGSTOP to " + f.Subject.String() + " and its children", "SIGCONT"}
}

// group is what signals are sent to: the process group of a target that we
// started, otherwise the process and each of its descendants.
func group(s Subject) ([]lease.Process, error) {
	p, err := s.Process()
	if err != nil || p.Group {
		return []lease.Process{p}, err
	}
	return family(s)
}

func continueAll(all []lease.Process) []lease.Undo {
	undo := make([]lease.Undo, len(all))
	for i := range all {
		undo[i] = lease.Undo{Kind: lease.Continue, Process: &all[i]}
	}
	return undo
}

// stopAll stops parents before their children, which they could replace.
func stopAll(all []lease.Process) error {
	for _, p := range all {
		if err := p.Stop(); err != nil {
			return err
		}
	}
	return nil
}

// checkSubject finds the process if it is there before the run.
func checkSubject(s Subject) error {
	if f, ok := s.(PidFile); ok {
		_, err := f.Process()
		return err
	}
	return nil
}

// Kill ends a process that we did not start, for good: its heal does nothing.
// It holds no lease, because nothing can undo it.
type Kill struct {
	Subject PidFile
}

func (f Kill) Inject(context.Context) (Heal, error) {
	all, err := group(f.Subject)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if err := p.Signal(syscall.SIGKILL); err != nil {
			return nil, err
		}
	}
	return func(context.Context) error { return nil }, nil
}

func (f Kill) String() string { return "kill for good" }

func (f Kill) Check(context.Context) error { return checkSubject(f.Subject) }

func (f Kill) Plan() Plan {
	return Plan{"SIGKILL to " + f.Subject.String() + " and its children", "none: stormctl did not start it and cannot start it again"}
}
