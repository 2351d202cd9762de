//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/experiment"
)

// A duet is two runs in one process: the same code as any other run, each with a
// directory, targets and event loops of its own, that begin at the same instant
// with the same seed, and so with the same arrivals.

// beginSoon is how long after both are ready the loads of a duet begin: what is
// left to do before takes less.
const beginSoon = 300 * time.Millisecond

// rendezvous gives runs that are to go side by side one beginning.
type rendezvous struct {
	mu      sync.Mutex
	missing int
	begin   time.Time
	agreed  chan struct{} // closed when all are there
}

func newRendezvous(runs int) *rendezvous {
	return &rendezvous{missing: runs, agreed: make(chan struct{})}
}

// wait returns when all runs have come, with the time at which they begin, or when
// ctx is done, with its cause.
func (r *rendezvous) wait(ctx context.Context) (time.Time, error) {
	r.mu.Lock()
	r.missing--
	if r.missing == 0 {
		r.begin = time.Now().Add(beginSoon)
		close(r.agreed)
	}
	r.mu.Unlock()
	select {
	case <-r.agreed:
		return r.begin, nil
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}
}

// errOther is why one run of a duet ends: the other has.
var errOther = errors.New("the other run of the duet has ended")

// duet makes both runs at once. Where one ends early, so does the other: what it
// would see from there on has nothing to be compared with.
func (g *gate) duet(ctx context.Context) exitCode {
	g.say("a duet, to %s", g.dir)
	both, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	meet := newRendezvous(2)
	g.shown.begin(g.sides[oldSide].Name)
	var running sync.WaitGroup
	errs := map[string]error{}
	var mu sync.Mutex
	for side := range g.sides {
		options := chaos.Options{Out: filepath.Join(g.dir, side+"-1"), Self: g.runner.self, Begin: meet.wait}
		if !g.options.quiet {
			options.Watch = g.watch(side)
		}
		running.Go(func() {
			err := g.execute(both, side, options)
			mu.Lock()
			defer mu.Unlock()
			if errs[side] = err; err != nil {
				stop(chaos.Stopped{Why: errOther.Error()})
			}
		})
	}
	running.Wait()
	g.shown.end()
	code := exitHeld
	for _, side := range []string{oldSide, newSide} {
		if err := errs[side]; err != nil && !stoppedByOther(err) {
			code = worse(code, g.ended(ctx, side, side+"-1", err))
		}
	}
	if code == exitHeld {
		g.done[oldSide], g.done[newSide] = []string{filepath.Join(g.dir, "old-1")}, []string{filepath.Join(g.dir, "new-1")}
	}
	return code
}

func stoppedByOther(err error) bool {
	var s chaos.Stopped
	return errors.As(err, &s) && s.Why == errOther.Error()
}

// watch shows the seconds of the new system alone, as there is one line for them,
// and the events of both.
func (g *gate) watch(side string) func(chaos.Progress) {
	return func(p chaos.Progress) {
		if p.Event == "" && side == oldSide {
			return
		}
		p.Phase = side + " " + p.Phase
		g.shown.watch(p)
	}
}

// apart refuses two experiments that would be in each other's way at once.
func apart(old, now *experiment.Experiment) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(old.Targets)) {
		a, b := old.Targets[name].Process, (*experiment.Process)(nil)
		if t := now.Targets[name]; t != nil {
			b = t.Process
		}
		if a != nil && b != nil && a.Listen != "" && a.Listen == b.Listen {
			errs = append(errs, sameAddress("target", name, a.Listen))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old.Links)) {
		if l := now.Links[name]; l != nil && l.Listen != "" && l.Listen == old.Links[name].Listen {
			errs = append(errs, sameAddress("link", name, l.Listen))
		}
	}
	for i, e := range old.Chaos {
		foreign := func(name string) bool { return old.Targets[name].URL != "" }
		if _, own := old.Links[e.On]; own || e.RegionLoss != nil && !slices.ContainsFunc(old.AffectedTargets(e), foreign) {
			continue
		}
		netns := e.NetPartition != nil && e.NetPartition.Netns != "" || e.NetRate != nil
		if t := old.Targets[e.On]; t == nil || t.URL != "" || netns || e.DiskFull != nil || e.Exec != nil {
			errs = append(errs, fmt.Errorf("chaos[%d] (%s) happens to what both sides have in common", i, e.String()))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("this cannot be a duet, but rounds: %w", errors.Join(errs...))
	}
	return nil
}

func sameAddress(what, name, addr string) error {
	return fmt.Errorf("both would have %s %s listen on %s: leave listen out, or give each its own by --old and --new", what, name, addr)
}
