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
)

// soakGarbage is how much garbage there may be beside what is in use, in percent, while the
// load of a soak goes on. So little comes in a second that by default what is resident
// rises for minutes, until as much is garbage as is in use.
const soakGarbage = 15

// A drive is the part of a run in which there is load: from one start, load and
// timeline run side by side, and what happens is recorded.
type drive struct {
	x        *experiment.Experiment
	bed      *testbed.Testbed
	plan     load.Plan
	faults   timeline.Timeline
	rec      *recorder
	progress *tracker
	carrier  *handout // nil sends the load from here
	soak     *soak    // nil of a run that is judged whole

	steady bool  // the steady state was confirmed before a soak was resumed
	hand   *Hand // of who takes part; nil is nobody

	begin time.Time                // when the first arrival is due; zero is at once
	start time.Time                // of the clock that every time of the experiment is on: when the warm-up is over
	stop  context.CancelCauseFunc  // ends the load, and heals
	used  map[string]testbed.Usage // by the targets, at start; nil if that was not reached

	mu      sync.Mutex        // guards counted
	counted map[int][2]uint64 // by index of a fault, what its link had counted when it was healed
}

// run returns when the last arrival was due, on that clock. What happens is
// evidence, even where it went wrong, so there is no error to return.
func (d *drive) run(ctx context.Context) time.Duration {
	ctx, d.stop = context.WithCancelCause(ctx)
	d.counted = map[int][2]uint64{}
	defer d.stop(nil)
	if !d.begin.IsZero() {
		timeline.SleepUntil(ctx, d.begin)
	}
	begun := cmp.Or(d.begin, time.Now())
	d.start = begun.Add(d.x.Load.Warmup)
	d.progress.begin(d.start)
	d.plan.Stats = load.NewStats(load.Shards(d.plan), begun)

	if d.soak != nil && os.Getenv("GOGC") == "" { // who sets it knows better
		defer debug.SetGCPercent(debug.SetGCPercent(soakGarbage))
	}
	weights := d.bed.Weigh(ctx)
	d.rec.weights = weights.Last
	live := d.record()
	defer live.wait()
	watched, links := d.bed.Watch(ctx, d.died), d.watchLinks(ctx, d.bed.Relays)
	breaking, heal := context.WithCancel(ctx)
	defer heal()
	healed := d.runTimeline(breaking)
	d.hand.begin(breaking, d)
	asked := d.auditDuring(ctx)
	end, cause := d.runLoad(ctx, begun)
	used := d.bed.Usage()
	if cause != nil {
		d.stop(cause)
	}
	heal() // a timeline that outlives the load heals now
	<-healed
	d.hand.end()
	asked()
	d.auditEnd(ctx)
	d.stop(cause)
	watched.Wait()
	links.Wait()
	weights.Wait()
	d.addUsage(used)

	if cause != nil && !errors.Is(cause, errNotSteady) && !errors.Is(cause, errEnough) {
		d.add(evidence.Event{Kind: evidence.KindStop, Text: reason(cause)})
	}
	d.progress.phase("judging", "the load has ended")
	d.rec.stop()
	return end
}

// record begins to record what the load and the links do, and every second looks
// at the limits and at how the claims stand.
func (d *drive) record() *provisional {
	if first := gateOf(d.x, d.faults); first > 0 && !d.steady {
		d.rec.remember(arrivals.DueBefore(d.plan.Schedule, d.x.Load.Warmup+first))
	}
	live := &provisional{x: d.x, dir: d.rec.dir, now: d.rec.now, tell: func(v []judge.Verdict) {
		d.progress.verdicts(v)
		d.rec.live.Rulings(v, false)
	}}
	limits := newStopWatch(d.x.Limits.StopIf, d.x.Load.Sent())
	d.rec.onFail = func(err error) { d.stop(Unwritten{err}) } // what cannot be recorded breaks things for nothing
	d.rec.begin(d.start, d.plan.Stats, func(at time.Duration, t evidence.Tick) {
		d.progress.tick(at, t)
		if at > 0 && d.soak == nil && (d.progress.watched() || d.rec.live != nil) && d.carrier.whole() && int(at.Seconds())%2 == 0 {
			live.look()
		}
		if why := limits.tick(t); why != "" {
			d.stop(Stopped{why})
		}
	})
	for name, relay := range d.bed.Relays {
		d.rec.links[name].connections = d.x.Links[name].Protocol == toxic.ProtocolTCP
		relay.Record(d.start, d.rec.exchange(name))
	}
	return live
}

// watchLinks ends the run when a link cannot go on: what calls it passes no more
// would be the system's failures otherwise. The WaitGroup is done soon after ctx is.
func (d *drive) watchLinks(ctx context.Context, relays map[string]proxy.Relay) *sync.WaitGroup {
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
				d.stop(Stopped{fmt.Sprintf("link %s could not go on: %v", name, why())})
			}
		})
	}
	return &wg
}

// runTimeline runs the timeline in the background; what it returns is closed when
// everything is healed.
func (d *drive) runTimeline(ctx context.Context) (healed chan struct{}) {
	if d.x.Load.Warmup > 0 {
		d.progress.phase("warm-up", "the warm-up begins")
	}
	healed = make(chan struct{})
	go func() {
		defer close(healed)
		if timeline.SleepUntil(ctx, d.start) {
			d.used = d.bed.Usage()
			d.phase("steady state", "the load begins")
		}
		// Each error is in the evidence, with its fault.
		gate := d.confirmSteady
		if d.steady {
			gate = nil
		}
		_ = d.faults.Run(ctx, d.start, gate, timeline.Notify{Injected: d.injected, Healed: d.healed})
		if ctx.Err() == nil && len(d.faults) > 0 {
			d.phase("healed", "all faults are healed")
		}
	}()
	return healed
}

// addUsage records what the targets used of the CPU from start to what used says.
func (d *drive) addUsage(used map[string]testbed.Usage) {
	all := map[string]evidence.Seconds{}
	for name, cpu := range testbed.Used(d.used, used) {
		all[name] = evidence.Seconds(cpu)
	}
	if len(all) > 0 {
		d.add(evidence.Event{Kind: evidence.KindCPU, CPU: all})
	}
}

// runLoad sends what is due, and waits for the answers. end is when the last
// arrival was due; cause is why there were no more, nil if all were sent.
func (d *drive) runLoad(ctx context.Context, begun time.Time) (end time.Duration, cause error) {
	stoppedAt := make(chan time.Duration, 1)
	forget := context.AfterFunc(ctx, func() {
		now := d.now()
		d.rec.endAt(now)
		stoppedAt <- now
	})
	if err := d.send(ctx, begun); err != nil && ctx.Err() == nil {
		d.stop(Stopped{"the load could not go on: " + err.Error()})
	}
	end, cause = min(d.now(), d.plan.Schedule.Duration()-d.x.Load.Warmup), context.Cause(ctx)
	if !forget() { // it was stopped, and requests in flight were waited for since
		end = min(end, <-stoppedAt)
	}
	return end, cause
}

// confirmSteady reports whether faults may be injected, and ends the run if not.
func (d *drive) confirmSteady() bool {
	d.carrier.fetch()
	if why := notSteady(d.rec, d.x, d.now()); why != "" {
		d.add(evidence.Event{Kind: evidence.KindGate, Text: why})
		d.progress.event("nothing is injected: " + why)
		d.stop(errNotSteady)
		return false
	}
	d.phase("chaos", "the system is steady: faults may come")
	return true
}

// counts is what a link has counted of a fault since it was healed the last time: a
// fault that repeats is counted each time by itself. What it hits as it is injected, on
// connections that are open, counts too.
func (d *drive) counts(e timeline.Event) (hit, overflow uint64) {
	f, ok := e.Fault.(interface{ Counts() (hit, overflow uint64) })
	if !ok {
		return 0, 0
	}
	hit, overflow = f.Counts()
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.counted[e.Index]
	d.counted[e.Index] = [2]uint64{hit, overflow}
	return hit - before[0], overflow - before[1]
}

func (d *drive) injected(e timeline.Event, at time.Duration, err error) {
	d.rec.add(faultEvent(evidence.KindInject, at, e, err))
	d.progress.injected(e.Index, d.nameOf(e), at, err)
}

func (d *drive) healed(e timeline.Event, at time.Duration, err error) {
	healed := faultEvent(evidence.KindHeal, at, e, err)
	healed.By = d.hand.healer(e.Index)
	healed.Hit, healed.Overflow = d.counts(e)
	d.rec.add(healed)
	d.progress.healed(e.Index, d.nameOf(e), at, err)
}

// nameOf is what the fault of an event is called: of the experiment, or by hand.
func (d *drive) nameOf(e timeline.Event) string {
	if e.Index < len(d.x.Chaos) {
		return d.x.Chaos[e.Index].String()
	}
	return d.hand.nameOf(e.Index)
}

func (d *drive) died(target string, at time.Time, err error) {
	d.rec.add(evidence.Event{At: evidence.Seconds(max(0, at.Sub(d.start))), Kind: evidence.KindDeath, Target: target, Text: err.Error()})
	d.progress.event(err.Error())
}

// now is the time on the clock of the experiment, which begins at 0.
func (d *drive) now() time.Duration { return max(0, time.Since(d.start)) }

// add records an event that happens now.
func (d *drive) add(e evidence.Event) {
	e.At = evidence.Seconds(d.now())
	d.rec.add(e)
}

// phase begins a phase of the run with an event for the watcher.
func (d *drive) phase(name, event string) {
	d.add(evidence.Event{Kind: evidence.KindPhase, Text: name})
	d.progress.phase(name, event)
}

func faultEvent(kind string, at time.Duration, e timeline.Event, err error) evidence.Event {
	ev := evidence.Event{At: evidence.Seconds(at), Kind: kind, Fault: e.Index + 1, Text: e.Fault.String()}
	if err != nil {
		ev.Error = err.Error()
	}
	return ev
}
