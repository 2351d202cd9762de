//go:build unix

package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/testbed"
	"github.com/stormctl/stormctl/chaos/timeline"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/meter"
)

// soakGarbage is how much garbage there may be beside what is in use, in percent, while the
// load of a soak goes on. So little comes in a second that by default what is resident
// rises for minutes, until as much is garbage as is in use.
const soakGarbage = 5

// A runner is the part of a run in which there is load: from one start, load and
// timeline run side by side, and what happens is recorded.
type runner struct {
	x        *experiment.Experiment
	bed      *testbed.Testbed
	plan     load.Plan
	faults   timeline.Timeline
	rec      *recorder
	progress *tracker
	remote   *remote // nil sends the load from here
	soak     *soak   // nil of a run that is judged whole

	steady  bool     // the steady state was confirmed before a soak was resumed
	control *Control // of who takes part; nil is nobody

	begin time.Time                // when the first arrival is due; zero is at once
	start time.Time                // of the clock that every time of the experiment is on: when the warm-up is over
	stop  context.CancelCauseFunc  // ends the load, and heals
	used  map[string]testbed.Usage // by the targets, at start; nil if that was not reached

	mu      sync.Mutex        // guards counted
	counted map[int][2]uint64 // by index of a fault, what its link had counted when it was healed
}

// run returns when the last arrival was due, on that clock. What happens is
// evidence, even where it went wrong, so there is no error to return.
func (r *runner) run(ctx context.Context) time.Duration {
	ctx, r.stop = context.WithCancelCause(ctx)
	r.counted = map[int][2]uint64{}
	defer r.stop(nil)
	if !r.begin.IsZero() {
		timeline.SleepUntil(ctx, r.begin)
	}
	begun := cmp.Or(r.begin, time.Now())
	r.start = begun.Add(r.x.Load.Warmup)
	r.progress.begin(r.start)
	r.plan.Stats = load.NewStats(load.Shards(r.plan), begun)

	if r.soak != nil && os.Getenv("GOGC") == "" { // who sets it knows better
		defer debug.SetGCPercent(debug.SetGCPercent(soakGarbage))
	}
	resources := r.bed.MeasureResources(ctx)
	r.rec.resources = resources.Last
	live := r.record()
	defer live.wait()
	watched, links := r.bed.Watch(ctx, r.died), r.watchLinks(ctx, r.bed.Relays)
	breaking, heal := context.WithCancel(ctx)
	defer heal()
	healed := r.runTimeline(breaking)
	r.control.begin(breaking, r)
	asked := r.auditDuring(ctx)
	end, cause := r.runLoad(ctx, begun)
	used := r.bed.Usage()
	if cause != nil {
		r.stop(cause)
	}
	heal() // a timeline that outlives the load heals now
	<-healed
	r.control.end()
	asked()
	r.auditEnd(ctx)
	r.stop(cause)
	watched.Wait()
	links.Wait()
	resources.Wait()
	r.addUsage(used)

	if cause != nil && !errors.Is(cause, errNotSteady) && !errors.Is(cause, errEnough) {
		r.add(evidence.Event{Kind: evidence.KindStop, Text: reason(cause)})
	}
	r.progress.phase("judging", "the load has ended")
	r.rec.stop()
	return end
}

// record begins to record what the load and the links do, and every second looks
// at the limits and at how the claims stand.
func (r *runner) record() *provisional {
	if first := gateOf(r.x, r.faults); first > 0 && !r.steady {
		r.rec.remember(arrivals.DueBefore(r.plan.Schedule, r.x.Load.Warmup+first))
	}
	live := &provisional{x: r.x, dir: r.rec.dir, now: r.rec.now, tell: func(v []judge.Verdict) {
		r.progress.verdicts(v)
		r.rec.live.Rulings(v, false)
	}}
	limits := newStopConditions(r.x.Limits.StopIf, r.x.Load.Sent())
	r.rec.onFail = func(err error) { r.stop(Unwritten{err}) } // what cannot be recorded breaks things for nothing
	r.rec.nap = r.nap()
	r.rec.begin(r.start, r.plan.Stats, func(at time.Duration, t evidence.Tick) {
		r.progress.tick(at, t)
		if at > 0 && r.soak == nil && (r.progress.watched() || r.rec.live != nil) && r.remote.whole() && int(at.Seconds())%2 == 0 {
			live.look()
		}
		if why := limits.tick(t); why != "" {
			r.stop(Stopped{why})
		}
	})
	for name, relay := range r.bed.Relays {
		r.rec.links[name].connections = r.x.Links[name].Protocol == toxic.ProtocolTCP
		relay.Record(r.start, r.rec.exchange(name))
	}
	return live
}

// nap is how long who measures the host sleeps: the less of what is ruled on is timed in
// this process, the longer.
func (r *runner) nap() time.Duration {
	switch {
	case r.remote == nil || len(r.bed.Relays) > 0:
		return meter.Often
	case len(r.faults) > 0 || r.control != nil || len(r.x.Load.Audit) > 0:
		return meter.Seldom
	default:
		return meter.Rarely
	}
}

// watchLinks ends the run when a link cannot go on: what calls it passes no more
// would be the system's failures otherwise. The WaitGroup is done soon after ctx is.
func (r *runner) watchLinks(ctx context.Context, relays map[string]proxy.Relay) *sync.WaitGroup {
	var wg sync.WaitGroup
	for name, relay := range relays {
		failed, why := relay.Failed()
		if failed == nil {
			continue
		}
		wg.Go(func() {
			select {
			case <-ctx.Done():
			case <-failed:
				r.stop(Stopped{fmt.Sprintf("link %s could not go on: %v", name, why())})
			}
		})
	}
	return &wg
}

// runTimeline runs the timeline in the background; what it returns is closed when
// everything is healed.
func (r *runner) runTimeline(ctx context.Context) (healed chan struct{}) {
	if r.x.Load.Warmup > 0 {
		r.progress.phase("warm-up", "the warm-up begins")
	}
	healed = make(chan struct{})
	go func() {
		defer close(healed)
		if timeline.SleepUntil(ctx, r.start) {
			r.used = r.bed.Usage()
			r.phase("steady state", "the load begins")
		}
		// Each error is in the evidence, with its fault.
		gate := r.confirmSteady
		if r.steady {
			gate = nil
		}
		_ = r.faults.Run(ctx, r.start, gate, timeline.Notify{Injected: r.injected, Healed: r.healed})
		if ctx.Err() == nil && len(r.faults) > 0 {
			r.phase("healed", "all faults are healed")
		}
	}()
	return healed
}

// addUsage records what the targets used of the CPU from start to what used says.
func (r *runner) addUsage(used map[string]testbed.Usage) {
	all := map[string]evidence.Seconds{}
	for name, cpu := range testbed.Used(r.used, used) {
		all[name] = evidence.Seconds(cpu)
	}
	if len(all) > 0 {
		r.add(evidence.Event{Kind: evidence.KindCPU, CPU: all})
	}
}

// runLoad sends what is due, and waits for the answers. end is when the last
// arrival was due; cause is why there were no more, nil if all were sent.
func (r *runner) runLoad(ctx context.Context, begun time.Time) (end time.Duration, cause error) {
	stoppedAt := make(chan time.Duration, 1)
	forget := context.AfterFunc(ctx, func() {
		now := r.now()
		r.rec.endAt(now)
		stoppedAt <- now
	})
	if err := r.send(ctx, begun); err != nil && ctx.Err() == nil {
		r.stop(Stopped{"the load could not go on: " + err.Error()})
	}
	end, cause = min(r.now(), r.plan.Schedule.Duration()-r.x.Load.Warmup), context.Cause(ctx)
	if !forget() { // it was stopped, and requests in flight were waited for since
		end = min(end, <-stoppedAt)
	}
	return end, cause
}

// confirmSteady reports whether faults may be injected, and ends the run if not.
func (r *runner) confirmSteady() bool {
	r.remote.fetch()
	if why := notSteady(r.rec, r.x, r.now()); why != "" {
		r.add(evidence.Event{Kind: evidence.KindGate, Text: why})
		r.progress.event("nothing is injected: " + why)
		r.stop(errNotSteady)
		return false
	}
	r.phase("chaos", "the system is steady: faults may come")
	return true
}

// counts is what a link has counted of a fault since it was healed the last time: a
// fault that repeats is counted each time by itself. What it hits as it is injected, on
// connections that are open, counts too.
func (r *runner) counts(e timeline.Event) (hit, overflow uint64) {
	f, ok := e.Fault.(interface{ Counts() (hit, overflow uint64) })
	if !ok {
		return 0, 0
	}
	hit, overflow = f.Counts()
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.counted[e.Index]
	r.counted[e.Index] = [2]uint64{hit, overflow}
	return hit - before[0], overflow - before[1]
}

func (r *runner) injected(e timeline.Event, at time.Duration, err error) {
	r.rec.add(faultEvent(evidence.KindInject, at, e, err))
	r.progress.injected(e.Index, r.nameOf(e), at, err)
}

func (r *runner) healed(e timeline.Event, at time.Duration, err error) {
	healed := faultEvent(evidence.KindHeal, at, e, err)
	healed.By = r.control.healer(e.Index)
	healed.Hit, healed.Overflow = r.counts(e)
	r.rec.add(healed)
	r.progress.healed(e.Index, r.nameOf(e), at, err)
}

// nameOf is what the fault of an event is called: of the experiment, or by hand.
func (r *runner) nameOf(e timeline.Event) string {
	if e.Index < len(r.x.Chaos) {
		return r.x.Chaos[e.Index].String()
	}
	return r.control.nameOf(e.Index)
}

func (r *runner) died(target string, at time.Time, err error) {
	r.rec.add(evidence.Event{At: evidence.Seconds(max(0, at.Sub(r.start))), Kind: evidence.KindDeath, Target: target, Text: err.Error()})
	r.progress.event(err.Error())
}

// now is the time on the clock of the experiment, which begins at 0.
func (r *runner) now() time.Duration { return max(0, time.Since(r.start)) }

// add records an event that happens now.
func (r *runner) add(e evidence.Event) {
	e.At = evidence.Seconds(r.now())
	r.rec.add(e)
}

// phase begins a phase of the run with an event for the watcher.
func (r *runner) phase(name, event string) {
	r.add(evidence.Event{Kind: evidence.KindPhase, Text: name})
	r.progress.phase(name, event)
}

func faultEvent(kind string, at time.Duration, e timeline.Event, err error) evidence.Event {
	ev := evidence.Event{At: evidence.Seconds(at), Kind: kind, Fault: e.Index + 1, Text: e.Fault.String()}
	if err != nil {
		ev.Error = err.Error()
	}
	return ev
}
