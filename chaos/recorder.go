//go:build unix

package chaos

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/chapters"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/export"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/chaos/rollup"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/meter"
	"github.com/stormctl/stormctl/load/watch"
)

// A recorder turns what happens into evidence while it happens. The event
// loops and relays hand it records and go on; the watch over the load writes
// them out. What it does every 100 ms is what a kill -9 may lose, and how long
// the rings of evidence must hold out. Where others send the load, and hand over what they
// saw each second, it does so once a second, and when many have come (flushEvery).
//
//	loop ─observe─▶ histograms, counters, ring ─┐
//	relay ─exchange─▶ batch ────────────────────┼─ every 100 ms ─▶ files ── every second ─▶ tick
type recorder struct {
	dir      string
	root     *os.Root // it, as it was when it was opened: files are made in it whatever stands at dir
	header   evidence.Header
	warmup   time.Duration
	schedule arrivals.Schedule // the warm-up included
	rows     []int             // where in header.Routes each route of the plan is, its steps behind it; nil is where it is in the plan
	steps    []bool            // which of header.Routes are steps; nil is none
	timeline *evidence.TimelineWriter
	memory   *evidence.Memory // for the gate; nil if nobody asks it
	watch    *watch.Watch
	warmed   uint64           // arrivals that are the warm-up's: those up to this number
	chapters *chapters.Writer // the records' files of a soak; nil of a run that is judged whole
	seconds  *rollup.Writer   // and its seconds and histogram logs
	samples  *evidence.SampleWriter
	values   *evidence.ValueWriter // nil without data
	access   []bool                // which of header.Routes have to do with data; nil without data
	routeLog *hist.LogFile
	links    map[string]*linkRecorder

	start time.Time
	from  time.Duration // where the clock was when a soak was resumed; 0 otherwise

	suspended func() time.Duration // for how long the machine was suspended since it was booted, until now
	slept     time.Duration        // the same, by the last second

	until  atomic.Int64        // when arrivals ended, where that is known to be before the schedule does; 0 is not
	mask   func(string) string // of texts; nil leaves them as they are
	onTick func(time.Duration, evidence.Tick)

	telling   sync.Mutex
	onEvent   func(line int, e evidence.Event)      // is told of each, from several goroutines; nil is not told
	onFail    func(error)                           // is told once of a file that cannot be written; nil is not told
	nap       time.Duration                         // of who measures the host; 0 is meter.Often
	live      *export.Live                          // nil is none
	resources func() map[string]evidence.TargetTick // what targets take; nil is not known
}

// makeRecorder makes the files, or opens those of a soak that is resumed. The first line
// of the timeline is on disk when it returns.
func makeRecorder(in *os.Root, h evidence.Header, warmup time.Duration, schedule arrivals.Schedule, shards int,
	relays map[string]proxy.Relay, resumed *resumption) (rec *recorder, err error) {
	dir := in.Name()
	rec = &recorder{dir: dir, header: h, warmup: warmup, schedule: schedule, links: map[string]*linkRecorder{},
		suspended: suspended, slept: suspended()}
	if rec.root, err = in.OpenRoot("."); err != nil {
		return rec, err
	}
	c := watch.Config{Rows: len(h.Routes), Shards: shards, Warmup: warmup, Second: rec.second, Flush: func() {
		rec.flush()
		rec.tellFailure()
	}}
	if resumed != nil {
		rec.header.Started, rec.from = resumed.started, resumed.to
		c.Warmup, c.From = 0, resumed.to
	}
	rec.watch = watch.New(c)
	defer func() {
		if err != nil {
			err = errors.Join(err, rec.closeFiles())
		}
	}()
	if rec.timeline, err = openTimeline(rec.root, resumed != nil); err != nil {
		return rec, err
	}
	if resumed == nil {
		rec.add(evidence.Event{Kind: evidence.KindStart, Start: &h})
	}
	if err = rec.timeline.Err(); err != nil {
		return rec, err
	}
	if h.Soak {
		rec.samples = evidence.NewSamples(h.Routes, shards)
	} else if rec.samples, err = made(rec.root, evidence.SamplesFile, func(f *os.File) (*evidence.SampleWriter, error) {
		return evidence.SamplesIn(f, h.Routes, shards, evidence.MaxFileSize)
	}); err != nil {
		return rec, err
	}
	if err = rec.openValues(shards); err != nil {
		return rec, err
	}
	if h.Soak {
		rec.seconds, err = rollup.New(rollup.Config{Root: rec.root, Started: rec.header.Started, Logs: soakLogs(h),
			Retention: rollup.DefaultRetention})
	} else {
		rec.routeLog, err = createLog(rec.root, routeLog, h.Started)
	}
	if err != nil {
		return rec, err
	}
	if warmup > 0 && resumed == nil {
		rec.warmed = arrivals.DueBefore(schedule, warmup)
	}
	for name, relay := range relays {
		l := &linkRecorder{hist: hist.New(), busy: relay.InFlight, peak: relay.Peak, unread: relay.Unread}
		rec.links[name] = l
		if h.Soak {
			continue
		}
		if l.file, err = made(rec.root, evidence.ExchangesFile(name), func(f *os.File) (*evidence.ExchangeWriter, error) {
			return evidence.ExchangesIn(f, evidence.MaxFileSize)
		}); err != nil {
			return rec, err
		}
		if l.log, err = createLog(rec.root, linkLog(name), h.Started); err != nil {
			return rec, err
		}
	}
	return rec, nil
}

// add writes an event of the timeline at once.
func (rec *recorder) add(e evidence.Event) {
	if rec.mask != nil {
		e.Text, e.Error = rec.mask(e.Text), rec.mask(e.Error)
	}
	if rec.onEvent == nil {
		rec.timeline.Add(e)
	} else {
		rec.telling.Lock() // so that lines are told in their order
		rec.onEvent(rec.timeline.Add(e), e)
		rec.telling.Unlock()
	}
	if rec.chapters != nil {
		rec.chapters.Add(e)
	}
	rec.live.Event(e)
	if rec.memory != nil {
		rec.memory.Event(e)
	}
}

// remembered is how many samples are kept in memory for the gate, some 60 MB.
// 20,000/s for half a minute are fewer. With more it has to read them back.
const remembered = 700_000

// remember keeps what is recorded in memory until observed is asked for it;
// expected is about how many samples there will be by then. It must be called
// before begin.
func (rec *recorder) remember(expected uint64) {
	rec.memory = evidence.NewMemory(int(min(expected, remembered)), remembered)
	rec.memory.Event(evidence.Event{Kind: evidence.KindStart, Start: &rec.header})
}

// observed is all that a steady state is judged by, of what was observed before.
// It is quick the first time, after remember.
func (rec *recorder) observed() (*evidence.Run, error) {
	rec.watch.Sync()
	if rec.memory != nil {
		if run := rec.memory.Take(); run != nil {
			return run, nil
		}
	}
	if rec.chapters != nil {
		return evidence.Read(rec.chapters.Present())
	}
	return evidence.Read(rec.dir)
}

// observe records what is no warm-up.
func (rec *recorder) observe(i int, s load.Sample) {
	s = rec.withRow(s)
	rec.watch.Tally.Observe(i, s)
	rec.samples.Record(i, s)
	if rec.access != nil && rec.access[s.Route] && s.Outcome != load.Unsent {
		rec.values.Record(i, s.ID)
	}
}

// observer is what the load gives its samples to. It is on the event loops' hot
// path.
func (rec *recorder) observer() load.Observe {
	return load.SplitWarmup(rec.warmup, func(i int, s load.Sample) { rec.watch.Warm.Observe(i, rec.withRow(s)) }, rec.observe)
}

// begin starts writing; onTick is told of every second, those of the warm-up
// included. The clock of the evidence is at 0 at start, where the warm-up ends.
func (rec *recorder) begin(start time.Time, stats *load.Stats, onTick func(at time.Duration, t evidence.Tick)) {
	rec.start, rec.onTick = start, onTick
	rec.watch.Begin(start, stats, cmp.Or(rec.nap, meter.Often))
}

// failure is why a file cannot be written; nil if all can.
func (rec *recorder) failure() error {
	errs := []error{rec.timeline.Err(), rec.samples.Err(), rec.routeLog.Err()}
	if rec.values != nil {
		errs = append(errs, rec.values.Err())
	}
	for _, name := range slices.Sorted(maps.Keys(rec.links)) {
		errs = append(errs, rec.links[name].file.Err(), rec.links[name].log.Err())
	}
	if rec.chapters != nil {
		errs = append(errs, rec.chapters.Err(), rec.seconds.Err())
	}
	for _, err := range errs {
		if err != nil {
			return err // one is enough to know what to do
		}
	}
	return nil
}

// tellFailure tells onFail what failed.
func (rec *recorder) tellFailure() {
	if rec.onFail == nil {
		return
	}
	if err := rec.failure(); err != nil {
		rec.onFail(err)
		rec.onFail = nil
	}
}

// flush writes the records that have come since the last one.
func (rec *recorder) flush() {
	if rec.chapters != nil {
		rec.samples.Drain(rec.memory, rec.chapters.Sample)
	} else {
		rec.samples.Flush(rec.memory)
	}
	if rec.values != nil {
		rec.values.Flush()
	}
	for name, l := range rec.links {
		batch := l.flush()
		if rec.chapters != nil {
			rec.chapters.Exchanges(name, batch)
		}
		if rec.memory != nil {
			rec.memory.Exchanges(name, batch)
		}
	}
	if rec.chapters != nil {
		rec.chapters.Flush(rec.now())
	}
}

// second records a second of the load. One of the warm-up is no evidence, but the
// limits that protect the system hold there too.
func (rec *recorder) second(s watch.Second) {
	t := rec.tick(s)
	rec.live.Second(s, t.Offered, t.Links, t.Targets, t.Lost)
	switch {
	case s.From >= 0:
		rec.writeSecond(s, &t)
	case s.At == 0:
		rec.noteWarmup() // what is still under way is in a second note, if nobody kills us
	}
	if rec.onTick != nil {
		rec.onTick(s.At, t)
	}
}

// tick is what ended in a second, and how the harness did.
func (rec *recorder) tick(s watch.Second) evidence.Tick {
	times, host := s.Counts.Times, s.Host
	lag, all := times.Lag.Summary(), times.AllResponse().Summary()
	t := evidence.Tick{
		Offered: rec.offered(s.From, s.At), Routes: map[string][load.Outcomes]uint64{}, Lost: rec.lost(),
		P50: evidence.Seconds(all.P50), P99: evidence.Seconds(all.P99),
		LagP50: evidence.Seconds(lag.P50), LagP99: evidence.Seconds(lag.P99), LagMax: evidence.Seconds(lag.Max),
		LateP99:   evidence.Seconds(times.Late.Quantile(0.99)),
		HiccupP99: evidence.Seconds(host.P99), HiccupMax: evidence.Seconds(host.Max), CPU: host.CPU, Steal: host.Steal,
		Pressure: host.Pressure,
		Runnable: max(0, host.Runnable),
		Extent:   rec.samples.Extent(), Cores: runtime.NumCPU(), Busy: s.Loops.Busy, Pause: evidence.Seconds(host.Pause),
		Starved: s.Loops.Starved, DialLimited: s.Loops.DialLimited,
	}
	if rec.values != nil {
		extent := rec.values.Extent()
		t.Values = &extent
	}
	for i, name := range rec.header.Routes {
		ended := s.Counts.Outcomes[i]
		before := t.Ended
		for _, n := range ended {
			t.Ended += n
		}
		t.Ended -= ended[load.Unsent]
		if rec.steps != nil && rec.steps[i] {
			t.Steps += t.Ended - before
		}
		t.Unsent += ended[load.Unsent]
		if ended != ([load.Outcomes]uint64{}) {
			t.Routes[name] = ended
		}
	}
	if rec.resources != nil {
		t.Targets = rec.resources()
	}
	for name, l := range rec.links {
		if t.Links == nil {
			t.Links = map[string]evidence.LinkTick{}
		}
		tick := evidence.LinkTick{Ended: uint64(l.hist.Count()), Errors: l.errors,
			P99: evidence.Seconds(l.hist.Quantile(0.99)), InFlight: l.busy(), Peak: l.peak(), Extent: l.file.Extent()}
		tick.Unread, tick.FirstUnread = l.unread()
		t.Links[name] = tick
		l.errors = 0
	}
	return t
}

// noteWarmup tells what the warm-up came to.
func (rec *recorder) noteWarmup() {
	total := rec.watch.WarmedUp()
	if total == nil {
		return
	}
	all := total.Times.AllResponse().Summary()
	rec.add(evidence.Event{At: evidence.Seconds(rec.now()), Kind: evidence.KindWarmup, Warmup: &evidence.Warmup{
		Length: evidence.Seconds(rec.warmup), Outcomes: total.All(), P50: evidence.Seconds(all.P50), P99: evidence.Seconds(all.P99),
	}})
}

// now is the time on the clock of the evidence, which begins at 0.
func (rec *recorder) now() time.Duration { return max(0, time.Since(rec.start)) }

// endAt says that no arrival came after a time of the clock.
func (rec *recorder) endAt(end time.Duration) { rec.until.Store(int64(max(1, end))) }

// offered is how many arrivals the schedule has between two times of the clock,
// by its rate in the middle.
func (rec *recorder) offered(from, to time.Duration) uint64 {
	if until := time.Duration(rec.until.Load()); until > 0 {
		to = min(to, until)
	}
	from, to = from+rec.warmup, min(to+rec.warmup, rec.schedule.Duration())
	if to <= from {
		return 0
	}
	return uint64(math.Round(float64(rec.schedule.Rate((from+to)/2)) * (to - from).Seconds()))
}

// writeLogs appends a second to the histogram logs.
func (rec *recorder) writeLogs(s watch.Second) {
	rec.routeLog.Write(s.From, s.At, rec.routeTagged(s)...)
	for name, l := range rec.links {
		l.log.Write(s.From, s.At, seen(name, l.hist)...)
		l.hist.Reset()
	}
}

// routeTagged is what callers saw in a second.
func (rec *recorder) routeTagged(s watch.Second) []hist.Tagged {
	times := s.Counts.Times
	tagged := []hist.Tagged{{Tag: lagTag, Histogram: times.Lag}}
	for i, name := range rec.header.Routes {
		tagged = append(tagged, seen(name, times.Response[i])...)
		tagged = append(tagged, seen(name+serviceSuffix, times.Service[i])...)
	}
	return tagged
}

// stop ends the writing in the background. The links may go on until close.
func (rec *recorder) stop() { rec.watch.Stop() }

// close writes what has come since, ends the evidence of a load whose last
// arrival was due at end, and says what could not be written.
func (rec *recorder) close(end time.Duration) error {
	rec.flush()
	rec.watch.Rest(time.Since(rec.start))
	rec.noteWarmup()
	rec.watch.Close()
	rec.add(evidence.Event{At: evidence.Seconds(end), Kind: evidence.KindEnd})
	var err error
	if rec.chapters != nil {
		err = rec.chapters.Close(end)
	}
	return errors.Join(err, rec.closeFiles())
}

// closeFiles closes the files that were made.
func (rec *recorder) closeFiles() error {
	errs := []error{rec.root.Close()}
	if rec.timeline != nil {
		errs = append(errs, rec.timeline.Close())
	}
	if rec.samples != nil {
		errs = append(errs, rec.samples.Close())
	}
	if rec.values != nil {
		errs = append(errs, rec.values.Close())
	}
	if rec.routeLog != nil {
		errs = append(errs, rec.routeLog.Close())
	}
	if rec.seconds != nil {
		errs = append(errs, rec.seconds.Close())
	}
	for _, l := range rec.links {
		if l.file != nil {
			errs = append(errs, l.file.Close())
		}
		if l.log != nil {
			errs = append(errs, l.log.Close())
		}
	}
	return errors.Join(errs...)
}
