package chaos

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
)

// Options are how to run, as opposed to what.
type Options struct {
	Out  string   // run directory, which must be empty or not exist; "" means runs/NAME-TIME
	Self []string // the command that serves a reference target, without its arguments

	// Watch is told of progress, by one goroutine at a time; nil is not told. It
	// must not block: the run waits for it.
	Watch func(Progress)
}

// Stopped is the cause of a run that ended before its time.
type Stopped struct{ Why string }

func (s Stopped) Error() string { return s.Why }

// Unwritten says that a run could not record what it saw, and was ended.
type Unwritten struct{ Err error }

func (u Unwritten) Error() string { return u.Err.Error() }

func (u Unwritten) Unwrap() error { return u.Err }

// errNotSteady ends the load of a system that was not well to begin with.
var errNotSteady = errors.New("not in its steady state")

// Run executes an experiment. The error says why it could not run; what the
// run found out, good or bad, is in the result. When ctx is done it heals,
// stops, and returns what it has with Partial set; the cause of ctx, if it is
// a Stopped, says why.
//
// Everything that the run started or injected is gone when it returns.
func Run(ctx context.Context, x *experiment.Experiment, opts Options) (result *Result, err error) {
	resolved := *x // the seed is drawn once and kept in the run directory
	x = &resolved
	if x.Seed == 0 {
		x.Seed = random() >> 11 // a number that any JSON reader keeps exactly
	}
	in, err := x.ReadInputs()
	if err != nil {
		return nil, err
	}
	schedule, err := x.Load.Schedule(x.Seed, in.Times)
	if err != nil {
		return nil, err
	}
	dir, err := makeRunDir(opts.Out, x.Name, time.Now())
	if err != nil {
		return nil, err
	}
	text, err := experiment.Marshal(x)
	if err != nil {
		return nil, err
	}
	if err := writeNew(filepath.Join(dir, ExperimentFile), text); err != nil {
		return nil, err
	}
	if err := execute(ctx, x, in, schedule, dir, opts); err != nil {
		if !errors.As(err, new(Unwritten)) {
			_ = noteNotStarted(dir, err) // without it the directory is not taken again
		}
		return nil, fmt.Errorf("%w (run directory: %s)", err, dir)
	}
	return Judge(dir)
}

// execute makes the evidence: it starts the services, drives the load and the
// timeline, and ends everything.
func execute(ctx context.Context, x *experiment.Experiment, in *experiment.Inputs, schedule arrivals.Schedule, dir string, opts Options) (err error) {
	run, began := random(), time.Now()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	teller := newTracker(x, schedule.Duration(), opts.Watch)

	services, err := prepare(ctx, x, in, dir, run, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, services.stop(), services.release()) }() // at the end there is nothing left to stop
	if err := services.hold(ctx, func(why string) { stop(Stopped{why}) }, teller.event); err != nil {
		return err
	}
	watching := WatchStopFiles(ctx, x.Limits.StopFile, services.lease, began, func(s Stopped) { stop(s) })
	defer func() { stop(nil); watching.Wait() }()
	if err := services.start(ctx, func(text string) { teller.phase("starting", text) }); err != nil {
		return err
	}
	services.length = schedule.Duration()
	plan, timeline := services.plan(run, x.Load.Warmed(schedule)), services.timeline()
	rec, err := newRecorder(dir, header(x, schedule, timeline), x.Load.Warmup, plan.Schedule, load.Shards(plan), services.relays)
	if err != nil {
		return err
	}
	rec.tellSteps(plan.Routes)
	for _, text := range services.notes {
		rec.add(evidence.Event{Kind: evidence.KindNote, Text: text})
		teller.event(text)
	}
	end := drive(ctx, x, services, plan, timeline, rec, teller)
	// From here on there are results: what goes wrong is said, not returned.
	note := func(text string) {
		rec.add(evidence.Event{At: evidence.Seconds(rec.now()), Kind: evidence.KindNote, Text: text})
		teller.event(text)
	}
	services.tellUnsafe(note)
	if err := errors.Join(services.stop(), services.release()); err != nil {
		note(err.Error())
	}
	err = rec.close(end)
	if failed := rec.failure(); failed != nil {
		return Unwritten{fmt.Errorf("%w: the run was ended %s after its start, and healed; what had been recorded is kept, and stormctl judge rules on it", failed, end.Round(100*time.Millisecond))}
	}
	if err != nil {
		teller.event("evidence is incomplete: " + err.Error())
	}
	return nil
}

// hold makes the run known to the machine, and what it would break sure to be
// undone. Nothing is started if a fault could not be made, or had no guardian.
func (s *services) hold(ctx context.Context, lost, say func(string)) error {
	if err := errors.Join(stopFileThere(s.x.Limits.StopFile), s.timeline().check(ctx, s.x)); err != nil {
		return err
	}
	guardian := s.timeline().outlives()
	held, err := lease.Open(lease.Options{Name: s.x.Name, Dir: s.dir, Guardian: guardian, Lost: lost})
	switch {
	case err == nil:
		s.lease = held
	case guardian:
		return fmt.Errorf("some faults of the experiment would outlive stormctl, and cannot be held: %w", err)
	default:
		say("stormctl halt will not find this run: " + err.Error())
	}
	return nil
}

// release undoes what is still held. It may be called again.
func (s *services) release() error {
	if s.lease == nil {
		return nil
	}
	return s.lease.Close()
}

// drive runs load and timeline side by side from one start, and returns when
// the last arrival was due. What happens is evidence, even where it went wrong,
// so there is no error to return.
func drive(ctx context.Context, x *experiment.Experiment, services *services, plan load.Plan, timeline Timeline, rec *recorder, teller *tracker) time.Duration {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stops := newStopWatch(x.Limits.StopIf, x.Load.Routes)
	live := &provisional{x: x, rec: rec, tell: teller.verdicts}
	defer live.wait()

	begun := time.Now()
	start := begun.Add(x.Load.Warmup) // of the clock that every time of the experiment is on
	now := func() time.Duration { return max(0, time.Since(start)) }
	plan.Stats = load.NewStats(load.Shards(plan), begun)
	add := func(e evidence.Event) {
		e.At = evidence.Seconds(now())
		rec.add(e)
	}
	phase := func(name, event string) {
		add(evidence.Event{Kind: evidence.KindPhase, Text: name})
		teller.phase(name, event)
	}
	var stoppedAt atomic.Int64
	forget := context.AfterFunc(ctx, func() { stoppedAt.Store(int64(now())) })

	if len(timeline) > 0 && claimsSteady(x) {
		first := slices.MinFunc(timeline, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
		rec.remember(arrivals.DueBefore(plan.Schedule, x.Load.Warmup+first.At))
	}
	rec.onFail = func(err error) { stop(Unwritten{err}) } // what cannot be recorded breaks things for nothing
	rec.begin(start, plan.Stats, func(at time.Duration, t evidence.Tick) {
		teller.tick(at, t)
		if at > 0 && teller.watched() && int(at.Seconds())%2 == 0 {
			live.look()
		}
		if why := stops.tick(t); why != "" {
			stop(Stopped{why})
		}
	})
	for name, relay := range services.relays {
		relay.Record(start, rec.exchange(name))
	}
	watched := services.watch(ctx, func(target string, err error) {
		add(evidence.Event{Kind: evidence.KindDeath, Target: target, Text: err.Error()})
		teller.event(err.Error())
	})
	if x.Load.Warmup > 0 {
		teller.phase("warm-up", "the warm-up begins")
	}

	gate := func() bool {
		if why := notSteady(rec, x, now()); why != "" {
			add(evidence.Event{Kind: evidence.KindGate, Text: why})
			teller.event("nothing is injected: " + why)
			stop(errNotSteady)
			return false
		}
		phase("chaos", "the system is steady: faults may come")
		return true
	}
	healed := make(chan struct{})
	go func() {
		defer close(healed)
		if sleepUntil(ctx, start) {
			phase("steady state", "the load begins")
		}
		// Each error is in the evidence, with its fault.
		_ = timeline.Run(ctx, start, gate, Notify{
			Injected: func(e Event, at time.Duration, err error) {
				rec.add(faultEvent(evidence.KindInject, at, e, err))
				teller.injected(e.Index, x.Chaos[e.Index].String(), err)
			},
			Healed: func(e Event, at time.Duration, err error) {
				healed := faultEvent(evidence.KindHeal, at, e, err)
				if f, ok := e.Fault.(onLink); ok {
					healed.Hit, healed.Overflow = f.relay.Hit(f.index), f.relay.Overflow(f.index)
				}
				rec.add(healed)
				teller.healed(e.Index, x.Chaos[e.Index].String(), err)
			},
		})
		if ctx.Err() == nil && len(timeline) > 0 {
			phase("healed", "all faults are healed")
		}
	}()

	if err := load.Run(ctx, plan, begun, rec.observer()); err != nil && ctx.Err() == nil {
		stop(Stopped{"the load could not go on: " + err.Error()})
	}
	end, cause := min(now(), plan.Schedule.Duration()-x.Load.Warmup), context.Cause(ctx)
	if !forget() { // it was stopped, and requests in flight were waited for since
		end = min(end, time.Duration(stoppedAt.Load()))
	}
	stop(cause) // a timeline that outlives the load heals now
	<-healed
	watched.Wait()

	if cause != nil && !errors.Is(cause, errNotSteady) {
		add(evidence.Event{Kind: evidence.KindStop, Text: reason(cause)})
	}
	teller.phase("judging", "the load has ended")
	rec.stop()
	return end
}

// reason says why a run was stopped, for people.
func reason(cause error) string {
	var s Stopped
	if errors.As(cause, &s) {
		return s.Why
	}
	if u := (Unwritten{}); errors.As(cause, &u) {
		return "its records could not be written: " + u.Error()
	}
	return "interrupted"
}

func faultEvent(kind string, at time.Duration, e Event, err error) evidence.Event {
	ev := evidence.Event{At: evidence.Seconds(at), Kind: kind, Fault: e.Index + 1, Text: e.Fault.String()}
	if err != nil {
		ev.Error = err.Error()
	}
	return ev
}

// notSteady says why the steady state is not confirmed by what is recorded
// until now; "" if it is, or nothing is claimed of it.
func notSteady(rec *recorder, x *experiment.Experiment, now time.Duration) string {
	if !claimsSteady(x) {
		return ""
	}
	run, err := rec.observed()
	if err != nil {
		return "the evidence cannot be read back: " + err.Error()
	}
	for _, c := range x.Claims {
		if c.Steady == nil {
			continue
		}
		if v := c.Steady.Ready(run, now); v.Ruling != judge.Held {
			return v.Claim + ": " + v.Reason
		}
	}
	return ""
}

func claimsSteady(x *experiment.Experiment) bool {
	return slices.ContainsFunc(x.Claims, func(c experiment.Claim) bool { return c.Steady != nil })
}

// watch says when a target ends that nobody ended, until ctx is done.
func (s *services) watch(ctx context.Context, say func(target string, err error)) *sync.WaitGroup {
	var wg sync.WaitGroup
	for name, r := range s.running {
		wg.Go(func() { watchTarget(ctx, r, func(err error) { say(name, err) }) })
	}
	return &wg
}

// watchEvery is how soon a target that was started again is watched anew: its
// end is not noted later than that. A start takes longer.
const watchEvery = 50 * time.Millisecond

// A watchable target says how it ended by itself, as targets.Running does.
type watchable interface {
	Watch() (exited <-chan struct{}, how func() error)
}

// watchTarget says every end that nobody asked for, also of one that a fault has
// started again since.
func watchTarget(ctx context.Context, r watchable, say func(error)) {
	again := time.NewTicker(watchEvery)
	defer again.Stop()
	exited, how := r.Watch()
	waiting := exited // nil once its end is said
	look := func() {
		select {
		case <-waiting:
			waiting = nil
			say(how())
		default:
		}
	}
	for {
		select {
		case <-waiting:
		case <-again.C:
		case <-ctx.Done():
			look()
			return
		}
		look()
		if next, nextHow := r.Watch(); next != exited {
			look() // it may have ended just before it was started again
			exited, waiting, how = next, next, nextHow
		}
	}
}

// header is what the evidence says of the experiment.
func header(x *experiment.Experiment, schedule arrivals.Schedule, timeline Timeline) evidence.Header {
	h := evidence.Header{Name: x.Name, About: x.About, Seed: x.Seed, Started: time.Now().Add(x.Load.Warmup), Load: evidence.Seconds(schedule.Duration()),
		Skips: x.Load.MaxQueue() != 0, Batch: evidence.Seconds(x.Load.Batch)}
	h.Routes = x.Load.Names()
	for _, name := range sorted(x.Links) {
		h.Links = append(h.Links, evidence.Link{Name: name, From: x.Links[name].From, To: x.Links[name].To})
	}
	for i, e := range x.Chaos {
		h.Faults = append(h.Faults, injection(x, i, e, timeline[i]))
	}
	return h
}

// injection is e, event i, with the times that the timeline has it at.
func injection(x *experiment.Experiment, i int, e experiment.Event, t Event) evidence.Injection {
	in := x.Injection(i, e)
	in.At, in.For = evidence.Seconds(t.At), evidence.Seconds(t.For)
	return in
}

func random() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails: it ends the program instead (crypto/rand)
	return binary.LittleEndian.Uint64(b[:])
}
