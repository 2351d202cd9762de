package timeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Event is one fault with its times, counted from the start of the run.
type Event struct {
	Index int // which event of the experiment it is
	At    time.Duration
	For   time.Duration // from when it is really in force; 0 heals at once, as a restart without downtime does
	Every time.Duration // it comes again after as long, as long as it is healed by Until; 0 is once
	Until time.Duration
	Fault Fault
}

// Timeline is what goes wrong and when. The zero Timeline injects nothing.
type Timeline []Event

// healWithin bounds one heal. A restarted target that is not ready by then is
// reported as not healed. A fault whose heal takes longer by its nature says so
// by a method HealWithin.
const healWithin = 30 * time.Second

func within(f Fault) time.Duration {
	if long, ok := f.(interface{ HealWithin() time.Duration }); ok {
		return max(healWithin, long.HealWithin())
	}
	return healWithin
}

// Notify is told what really happened and when. A fault was in force at most
// from the one time to the other: at is taken before it is injected and after
// it is healed. Its functions may be nil, and are called from several
// goroutines at once.
type Notify struct {
	Injected func(e Event, at time.Duration, err error)
	Healed   func(e Event, at time.Duration, err error)
}

// Run injects and heals on time, counted from start; what is injected late is
// healed late, so that it lasts as long as planned. Where one fault ends as
// another begins, the heal comes first. Before the first injection Run asks
// gate, which may be nil; if that says no, nothing is injected. When ctx is
// done, all that is in force is healed at once. Whatever ends it: when Run
// returns, every heal has been tried, and the error tells which did not work.
func (t Timeline) Run(ctx context.Context, start time.Time, gate func() bool, notify Notify) error {
	r := &runner{start: start, notify: notify}
	waiting := slices.SortedStableFunc(slices.Values(t), func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	for len(waiting) > 0 || len(r.active) > 0 {
		if next := r.firstToHeal(); next != nil && (len(waiting) == 0 || next.until <= waiting[0].At) {
			if !SleepUntil(ctx, start.Add(next.until)) {
				break
			}
			r.heal(next)
			continue
		}
		if !SleepUntil(ctx, start.Add(waiting[0].At)) {
			break
		}
		if gate != nil {
			if !gate() || ctx.Err() != nil {
				break
			}
			gate = nil
		}
		r.inject(ctx, waiting[0])
		waiting = again(waiting)
	}
	r.healAll()
	r.wg.Wait()
	return errors.Join(r.errs...)
}

// again takes the first of the events that wait, in their order, and puts it back in
// its place if it comes again.
func again(waiting []Event) []Event {
	e := waiting[0]
	waiting = waiting[1:]
	if e.At += e.Every; e.Every <= 0 || e.At+e.For > e.Until {
		return waiting
	}
	at, _ := slices.BinarySearchFunc(waiting, e, func(a, b Event) int { return cmp.Or(cmp.Compare(a.At, b.At), -1) })
	return slices.Insert(slices.Clone(waiting), at, e)
}

// Times lists when an event comes, in [from, to).
func (e Event) Times(from, to time.Duration) (all []time.Duration) {
	at := e.At
	if e.Every > 0 && from > at {
		at += (from - at + e.Every - 1) / e.Every * e.Every
	}
	for ; at < to; at += e.Every {
		if at >= from && (e.Every <= 0 || at == e.At || at+e.For <= e.Until) {
			all = append(all, at)
		}
		if e.Every <= 0 {
			break
		}
	}
	return all
}

// From is the part of a timeline that is due at from or later. An event that is due before
// and repeats begins at its next time; if it does not, or has no time left, it is left out.
func (t Timeline) From(from time.Duration) (rest Timeline) {
	for _, e := range t {
		if e.At >= from {
			rest = append(rest, e)
		} else if e.Every > 0 {
			e.At += (from - e.At + e.Every - 1) / e.Every * e.Every
			if e.At+e.For <= e.Until {
				rest = append(rest, e)
			}
		}
	}
	return rest
}

// A runner holds what is in force.
type runner struct {
	start  time.Time
	notify Notify
	active []*inForce // injected, and no heal begun

	wg   sync.WaitGroup // heals under way
	mu   sync.Mutex     // guards errs
	errs []error
}

type inForce struct {
	event Event
	until time.Duration
	heal  Heal
}

func (r *runner) inject(ctx context.Context, e Event) {
	at := time.Since(r.start)
	heal, err := e.Fault.Inject(ctx)
	if err == nil {
		r.active = append(r.active, &inForce{event: e, until: max(e.At, at) + e.For, heal: heal})
	} else {
		err = fmt.Errorf("inject %s: %w", e.Fault, err)
	}
	r.note(err)
	if r.notify.Injected != nil {
		r.notify.Injected(e, at, err)
	}
}

// firstToHeal is the injection that ends first; nil if none is in force.
func (r *runner) firstToHeal() *inForce {
	if len(r.active) == 0 {
		return nil
	}
	return slices.MinFunc(r.active, func(a, b *inForce) int { return cmp.Compare(a.until, b.until) })
}

// heal heals one injection in the background: a restart takes a while, and
// nothing else must wait for it.
func (r *runner) heal(in *inForce) {
	r.active = slices.DeleteFunc(r.active, func(other *inForce) bool { return other == in })
	r.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), within(in.event.Fault))
		defer cancel()
		err := in.heal(ctx)
		if err != nil {
			err = fmt.Errorf("heal %s: %w", in.event.Fault, err)
		}
		r.note(err)
		if r.notify.Healed != nil {
			r.notify.Healed(in.event, time.Since(r.start), err)
		}
	})
}

// healAll heals what is still in force, all at once: a target may need another
// one that is paused to get ready.
func (r *runner) healAll() {
	for len(r.active) > 0 {
		r.heal(r.active[0])
	}
}

func (r *runner) note(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

// SleepUntil reports whether t came before ctx was done.
func SleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
