package testbed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/host"
	"github.com/stormctl/stormctl/chaos/timeline"
)

// restartWithin bounds the start of one target of a rolling restart, and of
// those that a restart had killed before it failed.
const restartWithin = 30 * time.Second

// A startable target can be killed and started again, as targets.Running can.
type startable interface {
	Kill() error
	Restart(ctx context.Context) error
}

// restart kills targets that we started; its heal starts them again and returns
// when they are ready. Nothing of it outlives us: the targets do not.
type restart struct {
	targets []startable
	names   []string
}

func (f restart) Inject(context.Context) (timeline.Heal, error) {
	down := slices.Clone(f.targets)
	heal := func(ctx context.Context) error {
		errs := each(down, func(t startable) error { return t.Restart(ctx) })
		var left []startable // to try again
		for i, err := range errs {
			if err != nil {
				left = append(left, down[i])
			}
		}
		down = left
		return errors.Join(errs...)
	}
	errs := each(f.targets, startable.Kill)
	if err := errors.Join(errs...); err != nil {
		for i := len(errs) - 1; i >= 0; i-- {
			if errs[i] != nil {
				down = slices.Delete(down, i, i+1) // it runs
			}
		}
		starting, cancel := context.WithTimeout(context.Background(), restartWithin)
		defer cancel()
		return nil, errors.Join(err, heal(starting))
	}
	return heal, nil
}

// each does it to all at once.
func each(targets []startable, do func(startable) error) []error {
	errs := make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { errs[i] = do(t) })
	}
	wg.Wait()
	return errs
}

func (f restart) String() string {
	if len(f.names) > 1 {
		return fmt.Sprintf("restart of %d at once", len(f.names))
	}
	return "restart"
}

// rolling restarts targets one after another. The first is killed by Inject and
// started again by the heal, which goes on to the others: so the fault is over
// when all are.
type rolling struct {
	targets  []startable
	names    []string
	downtime time.Duration
}

func (f rolling) HealWithin() time.Duration {
	return time.Duration(len(f.targets)) * (f.downtime + restartWithin)
}

// Inject remembers the context of the run: once it is done, no further target is
// killed.
func (f rolling) Inject(run context.Context) (timeline.Heal, error) {
	if err := f.targets[0].Kill(); err != nil {
		return nil, err
	}
	left := slices.Clone(f.targets)
	down := true // left[0] is
	return func(ctx context.Context) error {
		for len(left) > 0 {
			if !down {
				select {
				case <-run.Done():
					return nil // none is down
				default:
				}
				if err := left[0].Kill(); err != nil {
					return err
				}
				down = true
				timeline.SleepUntil(run, time.Now().Add(f.downtime)) // cut short when the run ends
			}
			starting, cancel := context.WithTimeout(ctx, restartWithin)
			err := left[0].Restart(starting)
			cancel()
			if err != nil {
				return err
			}
			left, down = left[1:], false
		}
		return nil
	}, nil
}

func (f rolling) String() string { return fmt.Sprintf("rolling restart of %d", len(f.targets)) }

// kill ends a target that we started; its heal starts it again, unless it is for
// good.
type kill struct {
	target  startable
	forGood bool
}

func (f kill) Inject(context.Context) (timeline.Heal, error) {
	if err := f.target.Kill(); err != nil {
		return nil, err
	}
	if f.forGood {
		return func(context.Context) error { return nil }, nil
	}
	return f.target.Restart, nil
}

func (f kill) String() string {
	if f.forGood {
		return "kill for good"
	}
	return "kill"
}

// The plans of what happens to our own targets: they end with us, so that there
// is nothing to hold.

func (f restart) Plan() host.Plan { return ownPlan(f.names) }
func (f rolling) Plan() host.Plan { return ownPlan(f.names) }
func (f kill) Plan() host.Plan {
	p := host.Plan{Touches: "SIGKILL to the process and all its descendants", Undo: "started again; without a lease, it ends with stormctl"}
	if f.forGood {
		p.Undo = "none"
	}
	return p
}

func ownPlan(names []string) host.Plan {
	return host.Plan{
		Touches: fmt.Sprintf("SIGKILL to the processes of %v and all their descendants", names),
		Undo:    "started again; without a lease, they end with stormctl",
	}
}
