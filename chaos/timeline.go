package chaos

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
	For   time.Duration // 0 heals as soon as it is in force, as a restart without downtime does
	Fault Fault
}

// Timeline is what goes wrong and when. The zero Timeline injects nothing.
type Timeline []Event

// healWithin bounds one heal. A restarted target that is not ready by then is
// reported as not healed.
const healWithin = 30 * time.Second

// Watch is told what really happened and when. A fault was in force at most
// from the one time to the other: at is taken before it is injected and after
// it is healed. Its functions may be nil, and are called from several
// goroutines at once.
type Watch struct {
	Injected func(e Event, at time.Duration, err error)
	Healed   func(e Event, at time.Duration, err error)
}

// Run injects and heals on time, counted from start. Before the first
// injection it asks gate, which may be nil; if that says no, nothing is
// injected. When ctx is done, what is in force is healed at once, latest
// first. Whatever ends it: when Run returns, every heal has been tried, and
// the error tells which did not work.
func (t Timeline) Run(ctx context.Context, start time.Time, gate func() bool, watch Watch) error {
	r := &runner{start: start, watch: watch}
	for _, step := range t.steps() {
		if !sleepUntil(ctx, start.Add(step.at)) {
			break
		}
		if step.heal {
			r.heal(step.event.Index)
			continue
		}
		if gate != nil {
			if !gate() {
				break
			}
			gate = nil
		}
		r.inject(ctx, step.event)
	}
	return r.healAll()
}

// A step is one injection or healing.
type step struct {
	at    time.Duration
	heal  bool
	event Event
}

// steps are the timeline's in order of time; at one moment heals come first,
// so that one fault can follow another on the same link without overlap.
func (t Timeline) steps() []step {
	var steps []step
	for _, e := range t {
		steps = append(steps, step{e.At, false, e}, step{e.At + max(e.For, 1), true, e})
	}
	slices.SortStableFunc(steps, func(a, b step) int {
		if a.at == b.at && a.heal != b.heal {
			if a.heal {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.at, b.at)
	})
	return steps
}

// A runner holds what is in force.
type runner struct {
	start  time.Time
	watch  Watch
	active []*inForce // in order of injection

	wg   sync.WaitGroup
	mu   sync.Mutex // guards errs
	errs []error
}

type inForce struct {
	event  Event
	heal   Heal
	healed bool // a heal is under way or done
}

func (r *runner) inject(ctx context.Context, e Event) {
	at := time.Since(r.start)
	heal, err := e.Fault.Inject(ctx)
	if err == nil {
		r.active = append(r.active, &inForce{event: e, heal: heal})
	} else {
		err = fmt.Errorf("inject %s: %w", e.Fault, err)
	}
	r.note(err)
	if r.watch.Injected != nil {
		r.watch.Injected(e, at, err)
	}
}

// heal heals one injection in the background: a restart takes a while, and
// the next step must not wait for it.
func (r *runner) heal(index int) {
	for _, in := range r.active {
		if in.event.Index == index && !in.healed {
			in.healed = true
			r.wg.Go(func() { r.healNow(in) })
		}
	}
}

func (r *runner) healNow(in *inForce) {
	ctx, cancel := context.WithTimeout(context.Background(), healWithin)
	defer cancel()
	err := in.heal(ctx)
	if err != nil {
		err = fmt.Errorf("heal %s: %w", in.event.Fault, err)
	}
	r.note(err)
	if r.watch.Healed != nil {
		r.watch.Healed(in.event, time.Since(r.start), err)
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

// healAll heals what is still in force, latest first, and waits for all.
func (r *runner) healAll() error {
	for i := len(r.active) - 1; i >= 0; i-- {
		if in := r.active[i]; !in.healed {
			in.healed = true
			r.healNow(in)
		}
	}
	r.wg.Wait()
	return errors.Join(r.errs...)
}

// sleepUntil returns false if ctx is done first.
func sleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
