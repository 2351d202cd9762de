//go:build unix

package chaos

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/chapters"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/export"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/testbed"
	"github.com/stormctl/stormctl/chaos/timeline"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/meter"
)

// Options are how to run, as opposed to what.
type Options struct {
	Out  string   // run directory, which must be empty or not exist; "" means runs/NAME-TIME
	Self []string // the command that serves a reference target, without its arguments

	// Origin is where the experiment was read from, for its reports: the file as they
	// are to name it. The zero value is not known.
	Origin experiment.Origin

	// Begin is asked when all targets are ready, and returns when the load is to
	// begin: runs that are to go side by side get the same time. nil begins at once.
	Begin func(context.Context) (time.Time, error)

	// Remote sends the load, in the place of this process; nil sends it from here. It goes
	// not with Begin.
	Remote RemoteLoad
	// Control acts on the run while it goes on; nil is nobody. The palette of the
	// experiment is for it alone.
	Control *Control
	// Judge is the command that judges a run directory, for the chapters of a soak; nil
	// judges them in this process, whose memory and pauses are the load's.
	Judge []string

	// Watch is told of progress, by one goroutine at a time; nil is not told. It
	// must not block: the run waits for it.
	Watch func(Progress)

	// Live is told what other systems are to know; nil is none.
	Live *export.Live
}

// Unwritten says that a run could not record what it saw, and was ended.
type Unwritten struct{ Err error }

func (u Unwritten) Error() string { return u.Err.Error() }

func (u Unwritten) Unwrap() error { return u.Err }

// Run executes an experiment. The error says why it could not run; what the
// run found out, good or bad, is in the result. When ctx is done it heals,
// stops, and returns what it has with Partial set; the cause of ctx, if it is
// a Stopped, says why.
//
// Everything that the run started or injected is gone when it returns.
func Run(ctx context.Context, x *experiment.Experiment, opts Options) (*result.Result, error) {
	if opts.Control != nil && x.Repeats() > 0 {
		return nil, errors.New("a game day is judged whole, and a run whose faults repeat in chapters: leave out every:, " +
			"or list each event by itself")
	}
	resolved := *x // the seed is drawn once and kept in the run directory
	x = &resolved
	if x.Seed == 0 {
		x.Seed = random() >> 11 // a number that any JSON reader keeps exactly
	}
	if opts.Control == nil {
		x.GameDay = nil
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
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() // what was written by way of it is closed by itself
	text, err := experiment.Marshal(x)
	if err != nil {
		return nil, err
	}
	if err := writeNew(root, ExperimentFile, text); err != nil {
		return nil, err
	}
	if err := opts.Control.made(root); err != nil {
		return nil, err
	}
	if err := execute(ctx, x, in, schedule, text, dir, root, opts, nil); err != nil {
		err = in.MaskError(err)
		if !errors.As(err, new(Unwritten)) {
			_ = noteNotStarted(root, err) // without it the directory is not taken again
		}
		return nil, fmt.Errorf("%w (run directory: %s)", err, dir)
	}
	return finished(dir, opts)
}

// finished is the result of a run that has just ended, which is sealed.
func finished(dir string, opts Options) (*result.Result, error) {
	r, err := ruleOn(dir)
	if err != nil {
		return nil, orRemoved(dir, err)
	}
	opts.Live.Rulings(r.Verdicts, true)
	if r.Chain, err = seal(dir); err != nil {
		r.Notes = append(r.Notes, "the run directory cannot be verified later: "+err.Error())
	}
	return r, nil
}

// ruleOn rules on a run that has just ended. The chapters of a soak were judged while it
// went on.
func ruleOn(dir string) (*result.Result, error) {
	if chapters.Is(dir) {
		return judgeSoak(dir, nil, false, false)
	}
	return judgeRun(dir, nil)
}

// execute makes the evidence: it stands up the test bed, drives the load and the
// timeline, and ends everything. A soak that is resumed goes on with what is left.
func execute(ctx context.Context, x *experiment.Experiment, in *experiment.Inputs, schedule arrivals.Schedule,
	text []byte, dir string, root *os.Root, opts Options, resumed *resumption) (err error) {
	began := time.Now()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	progress := newTracker(x, schedule.Duration(), opts.Watch)
	progress.mask = in.Mask

	_, long := x.InChapters(schedule.Duration())
	bed, err := testbed.Prepare(ctx, x, in, testbed.Options{Dir: dir, Root: root, Run: random(), Self: opts.Self, Soak: long})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bed.Close()) }() // at the end there is nothing left to close
	held, err := bed.Hold(ctx, func(why string) { stop(Stopped{why}) }, progress.event)
	if err != nil {
		return err
	}
	watching := WatchStopFiles(ctx, x.Limits.StopFile, held, began, func(s Stopped) { stop(s) })
	defer func() { stop(nil); watching.Wait() }()
	if err := bed.Start(ctx, func(text string) { progress.phase("starting", text) }); err != nil {
		return err
	}
	plan, faults := bed.Plan(x.Load.Warmed(schedule)), bed.Timeline(schedule.Duration())
	cut, inChapters := chapterPlan(x, faults, schedule.Duration())
	begin, shards, notes, err := appoint(ctx, opts, inChapters, LoadSpec{Experiment: text, Plan: plan, Warmup: x.Load.Warmup,
		Gate: gateOf(x, faults), Say: func(text string) { progress.phase("starting", text) }})
	if err != nil {
		return err
	}
	bed.Notes = append(bed.Notes, notes...)
	if resumed != nil {
		plan.Schedule, begin = resumed.rest(plan.Schedule, x.Load.Warmup)
	}
	begins := header(x, schedule, faults, cmp.Or(begin, time.Now()))
	begins.File, begins.ClaimLines = opts.Origin.File, opts.Origin.Lines
	inChapters = inChapters && opts.Control == nil // where faults come is not known before, and so neither where to cut
	begins.Soak = inChapters
	if inChapters {
		unlock, err := lockDir(dir)
		if err != nil {
			return err
		}
		defer unlock()
	}
	rec, err := makeRecorder(root, begins, x.Load.Warmup, plan.Schedule, shards, bed.Relays, resumed)
	if err != nil {
		return err
	}
	rec.mask, rec.onEvent = in.Mask, opts.Control.line()
	if rec.values != nil {
		plan.Values = rec.keepValue
	}
	rec.live = opts.Live
	rec.live.Begin(exportStart(x, begins))
	rec.splitSteps(plan.Routes)
	if meter.Unmeasured != "" {
		bed.Notes = append(bed.Notes, meter.Unmeasured)
	}
	for _, text := range bed.Notes {
		rec.add(evidence.Event{Kind: evidence.KindNote, Text: text})
		progress.event(text)
	}
	r := &runner{x: x, bed: bed, plan: plan, faults: faults, rec: rec, progress: progress, begin: begin, control: opts.Control,
		remote: newRemote(opts.Remote)}
	if inChapters {
		o := soakOptions{down: bed.Down, tell: progress.chapter, self: opts.Judge}
		if r.soak, err = newSoak(x, cut, faults, plan.Schedule, rec, resumed, o); err != nil {
			return errors.Join(err, rec.closeFiles())
		}
		progress.event(r.soak.text())
	}
	if resumed != nil {
		r.goOn(resumed)
	}
	return settle(bed, rec, progress, r.soak, r.run(ctx))
}

// appoint finds when the load begins, zero for at once, and over how many shards it
// is spread: somebody else may say so, or agents send it.
func appoint(ctx context.Context, opts Options, inChapters bool, l LoadSpec) (begin time.Time, shards int, notes []string, err error) {
	shards = load.Shards(l.Plan)
	switch {
	case opts.Begin != nil:
		begin, err = opts.Begin(ctx)
	case opts.Remote != nil && inChapters:
		err = errors.New("a soak that is judged in chapters is not handed to agents yet: send its load from here")
	case opts.Remote != nil:
		shards = opts.Remote.Shards()
		begin, notes, err = readyRemote(ctx, opts.Remote, l)
	}
	return begin, shards, notes, err
}

// goOn leaves out what a killed run has had of the faults, and tells of the gap.
func (r *runner) goOn(resumed *resumption) {
	r.faults, r.steady = r.faults.From(resumed.to), resumed.steady
	gap := resumed.gap()
	r.rec.add(evidence.Event{At: gap.To, Kind: evidence.KindGap, Gap: &gap})
	r.progress.resumed(resumed.to)
	r.progress.event(fmt.Sprintf("resumed: the harness was not there from %s to %s",
		gap.From.Duration().Round(time.Second/10), gap.To.Duration().Round(time.Second/10)))
}

// settle ends the test bed and the evidence of a load whose last arrival was due
// at end. There are results now: what goes wrong is noted, not returned, unless
// it cannot be.
func settle(bed *testbed.Testbed, rec *recorder, progress *tracker, s *soak, end time.Duration) error {
	note := func(text string) {
		rec.add(evidence.Event{At: evidence.Seconds(rec.now()), Kind: evidence.KindNote, Text: text})
		progress.event(text)
	}
	for _, text := range bed.FailedHandshakes() {
		note(text)
	}
	if err := bed.Close(); err != nil {
		note(err.Error())
	}
	err := rec.close(end)
	if s != nil {
		err = errors.Join(err, s.judges.end())
	}
	if failed := rec.failure(); failed != nil {
		return Unwritten{fmt.Errorf("%w: the run was ended %s after its start, and healed; "+
			"what had been recorded is kept, and stormctl judge rules on it", failed, end.Round(100*time.Millisecond))}
	}
	if err != nil {
		progress.event("evidence is incomplete: " + err.Error())
	}
	return nil
}

// reason says why a run was stopped, for people.
func reason(cause error) string {
	if s, ok := errors.AsType[Stopped](cause); ok {
		return s.Why
	}
	if u := (Unwritten{}); errors.As(cause, &u) {
		return "its records could not be written: " + u.Error()
	}
	return "interrupted"
}

// header is what the evidence says of the experiment.
func header(x *experiment.Experiment, schedule arrivals.Schedule, faults timeline.Timeline, begin time.Time) evidence.Header {
	h := evidence.Header{Name: x.Name, About: x.About, Seed: x.Seed, Started: begin.Add(x.Load.Warmup), Host: hostText(),
		Load: evidence.Seconds(schedule.Duration()), Skips: x.Load.MaxQueue() != 0, Batch: evidence.Seconds(x.Load.Batch),
		Routes: x.Load.Names()}
	for _, name := range slices.Sorted(maps.Keys(x.Links)) {
		h.Links = append(h.Links, evidence.Link{Name: name, From: x.Links[name].From, To: x.Links[name].To})
	}
	h.Access, h.Keys, h.Sessions = x.Load.Access(), uint64(x.Load.Keys), x.Load.Sessions
	for i, e := range x.Chaos {
		h.Faults = append(h.Faults, injection(x, i, e, faults[i]))
	}
	return h
}

// injection is e, event i, with the times that the timeline has it at.
func injection(x *experiment.Experiment, i int, e experiment.Event, t timeline.Event) evidence.Injection {
	in := x.Injection(i, e)
	in.At, in.For = evidence.Seconds(t.At), evidence.Seconds(t.For)
	return in
}

func random() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails: it ends the program instead (crypto/rand)
	return binary.LittleEndian.Uint64(b[:])
}
