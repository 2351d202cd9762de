package main

import (
	"bufio"
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/reports"
)

// randomRun identifies the run in the ids of its requests.
func randomRun() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails: it ends the program instead (crypto/rand)
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// loadRun is a load that runs.
type loadRun struct {
	*loadJob
	start  time.Time
	tally  *load.Tally
	stats  *load.Stats
	meter  *load.Meter
	shown  *courier
	record *recordFile
	hlog   *hlogFile

	state    chaos.Progress
	ticked   time.Duration
	host     load.Hiccup // the worst seen
	busy     float64
	pressure float64
}

// runLoad drives a load and tells what it came to.
func runLoad(ctx context.Context, j *loadJob, o loadOptions, stdout, stderr io.Writer) exitCode {
	shown := newCourier(newProgress(stderr, o.quiet, os.Getenv))
	defer shown.close()
	ctx, release := interruptible(ctx, shown.say)
	defer release()

	r := &loadRun{loadJob: j, shown: shown, pressure: -1}
	result, err := r.run(ctx, o)
	if err != nil {
		shown.say(errorText(err))
		return exitFailed
	}
	if err := writeLoad(stdout, result, o.json, os.Getenv); err != nil {
		shown.say(errorText(fmt.Errorf("print result: %w", err)))
		return exitFailed
	}
	return loadExit(result)
}

// loadExit is the exit code of a load.
func loadExit(l *reports.Load) exitCode {
	code := exitHeld
	for _, t := range l.Thresholds {
		switch {
		case t.Failed:
			code = worse(code, exitRefuted)
		case t.Open:
			code = worse(code, exitInconclusive)
		}
	}
	if l.Partial != "" {
		code = worse(code, exitStopped)
	}
	return code
}

func (r *loadRun) run(ctx context.Context, o loadOptions) (result *reports.Load, err error) {
	shards := load.Shards(r.plan)
	r.tally = load.NewTally(1, shards)
	count := func(shard int, s load.Sample) {
		s.Route = 0 // a file may have more targets than there is room for histograms
		r.tally.Observe(shard, s)
	}
	observe := count
	if o.record != "" {
		if r.record, err = createRecord(o.record, routeNames(r.plan), shards); err != nil {
			return nil, fmt.Errorf("--record: %w", err)
		}
		observe = func(shard int, s load.Sample) {
			count(shard, s)
			r.record.rings[shard].Push(s)
		}
	}
	r.shown.begin(r.url)
	defer r.shown.end()
	r.meter = load.StartMeter()
	defer r.meter.Stop()
	r.start = time.Now()
	if o.hlog != "" {
		if r.hlog, err = createHlog(o.hlog, r.start); err != nil {
			return nil, fmt.Errorf("--hlog: %w", err)
		}
	}
	r.stats = load.NewStats(shards, r.start)
	r.plan.Stats = r.stats
	r.state = chaos.Progress{Name: r.url, Phase: "load", Total: r.length()}

	cpu := load.CPUTime()
	pauses := gcPauses()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		r.watch(stop)
	}()
	runErr := load.Run(ctx, r.plan, r.start, observe)
	seconds := time.Since(r.start).Seconds()
	cpu = load.CPUTime() - cpu
	close(stop)
	<-done
	r.tick(time.Since(r.start))
	if runErr != nil && ctx.Err() == nil {
		return nil, runErr
	}
	if runErr == nil {
		seconds = max(seconds, r.span.Seconds()) // the last arrival is due a gap before the schedule's end
	}
	result = r.result(seconds, cpu, o)
	result.Harness.GCPause = millis(pauses.longestSince())
	result.Harness.Memory = load.MaxResident()
	if runErr != nil {
		result.Partial = "stopped"
		var s chaos.Stopped
		if errors.As(context.Cause(ctx), &s) {
			result.Partial = s.Why
		}
	}
	result.Harness.Problems = r.problems(result)
	result.Harness.Healthy = len(result.Harness.Problems) == 0
	for _, t := range r.thresholds {
		result.Thresholds = append(result.Thresholds, t.judge(result))
	}
	return result, errors.Join(r.record.close(), r.hlog.close())
}

// length is how long the load is meant to last; 0 if only its requests end it.
func (r *loadRun) length() time.Duration {
	if c := r.plan.Closed; c != nil {
		return c.Duration
	}
	return r.plan.Schedule.Duration()
}

// watch ticks every second and writes records down, until stop.
func (r *loadRun) watch(stop <-chan struct{}) {
	flush := time.NewTicker(recordEvery)
	defer flush.Stop()
	second := time.Second
	for {
		select {
		case <-flush.C:
			r.record.flush()
			if now := time.Since(r.start); now >= second {
				r.tick(now)
				second = now.Truncate(time.Second) + time.Second
			}
		case <-stop:
			return
		}
	}
}

// tick closes one second at now.
func (r *loadRun) tick(now time.Duration) {
	interval := r.tally.Interval()
	host := r.meter.Read()
	r.host.P99, r.host.Max = max(r.host.P99, host.P99), max(r.host.Max, host.Max)
	r.host.Steal = max(r.host.Steal, host.Steal)
	r.pressure = max(r.pressure, host.Pressure)
	reading := r.stats.Read()
	span := (now - r.ticked).Seconds()
	if span > 0.2 {
		r.busy = max(r.busy, reading.Busy)
	}
	r.hlog.write(r.ticked, now, interval.Times)

	p := &r.state
	p.At = now
	p.Offered = 0
	if r.plan.Schedule != nil {
		p.Offered = float64(r.plan.Schedule.Rate((now + r.ticked) / 2))
	}
	outcomes := interval.All()
	var ended uint64
	for _, n := range outcomes {
		ended += n
	}
	p.Achieved = float64(ended-outcomes[load.Unsent]) / span
	p.Success = 0
	if ended > 0 {
		p.Success = float64(outcomes[load.OK]) / float64(ended)
	}
	response, lag := interval.Times.AllResponse().Summary(), interval.Times.Lag.Summary()
	p.P50, p.P99, p.P999, p.LagP99 = response.P50, response.P99, response.P999, lag.P99
	r.ticked = now
	r.shown.watch(*p)
}

func (r *loadRun) result(seconds float64, cpu time.Duration, o loadOptions) *reports.Load {
	total := r.tally.Total()
	outcomes := total.All()
	reading := r.stats.Read()
	l := &reports.Load{
		Schema: reports.LoadSchema, URL: r.url, Model: "open", Schedule: r.words, Offered: float64(r.offered), Started: r.start, Seconds: seconds,
		Unsent: outcomes[load.Unsent], Outcomes: map[string]uint64{}, Statuses: map[string]uint64{}, Received: total.Received,
		Response: spread(total.Times.Response[0]), Service: spread(total.Times.Service[0]),
		Connections: reports.Connections{Dialled: reading.Dialled, Most: reading.Most, Resent: reading.Resent},
		Harness: reports.LoadHarness{
			SendLag: spread(total.Times.Lag), Late: spread(total.Times.Late),
			HiccupP99: millis(r.host.P99), HiccupMax: millis(r.host.Max), Steal: r.host.Steal, Pressure: r.pressure,
			CPU: cpu.Seconds() / seconds, Busy: 100 * r.busy, Loops: load.Shards(r.plan), Transport: load.TransportName(r.plan),
		},
	}
	if r.plan.Closed != nil {
		l.Model = "closed"
	}
	for o, n := range outcomes {
		l.Due += n
		if n > 0 {
			l.Outcomes[load.Outcome(o).String()] = n
		}
	}
	for status, n := range total.Statuses {
		if n > 0 {
			l.Statuses[strconv.Itoa(status)] = n
		}
	}
	l.Requests = l.Due - l.Unsent
	l.Rate = float64(l.Requests) / seconds
	l.Success = 100 * float64(outcomes[load.OK]) / math.Max(1, float64(l.Due))
	l.Harness.CPURequest = float64(cpu.Microseconds()) / math.Max(1, float64(l.Requests))
	for _, b := range total.Times.Response[0].Spectrum() {
		l.Spectrum = append(l.Spectrum, reports.Bin{From: millis(b.From), To: millis(b.To), Count: b.Count})
	}
	return l
}

func spread(h *hist.Histogram) chaos.Spread {
	s := h.Summary()
	return chaos.Spread{P50: millis(s.P50), P90: millis(s.P90), P99: millis(s.P99), P999: millis(s.P999), Max: millis(s.Max)}
}

// lateBy is how late the harness may be without an explanation, at p99. With
// fewer arrivals than fewArrivals a p99 is the lateness of one or two, at the
// start, when connections are opened: that is compared with the host's longest
// hiccup, and may be lateByOnce.
const (
	lateBy      = 2 * time.Millisecond
	lateByOnce  = 10 * time.Millisecond
	fewArrivals = 1000
	noTimeLeft  = 95 // percent of a core, by one loop
)

// problems says why the harness was not well.
func (r *loadRun) problems(l *reports.Load) []string {
	var problems []string
	h := l.Harness
	allowed := max(millis(lateBy), 2*h.HiccupP99)
	if l.Due < fewArrivals {
		allowed = max(millis(lateByOnce), 2*h.HiccupMax)
	}
	if r.plan.Closed == nil && h.Late.P99 > allowed {
		problems = append(problems, fmt.Sprintf("requests were sent %s late (p99) by its own doing, where the host's hiccups were %s (p99): its busiest loop took %s of a core, so offer less or give it more cores",
			reports.Millis(h.Late.P99), reports.Millis(h.HiccupP99), reports.Percent(h.Busy)))
	}
	if r.plan.Closed == nil && h.Busy >= noTimeLeft {
		problems = append(problems, fmt.Sprintf("an event loop took %s of a core in some second, so that it had no time left: offer less or give it more cores", reports.Percent(h.Busy)))
	}
	if h.GCPause > allowed {
		problems = append(problems, fmt.Sprintf("Go stopped the harness for up to %s to collect garbage", reports.Millis(h.GCPause)))
	}
	if l.Unsent > 0 {
		problems = append(problems, fmt.Sprintf("%s arrivals were due and never sent, because no connection came free or the host had no descriptor or port left", reports.Count(l.Unsent)))
	}
	if lost := r.record.lost(); lost > 0 {
		problems = append(problems, fmt.Sprintf("%s records of --record were lost, because the disk was too slow", reports.Count(lost)))
	}
	return problems
}

const (
	recordEvery = 100 * time.Millisecond
	recordRing  = 16 // 2^16 samples per loop: over half a second at 100,000/s through one
)

// recordFile is the file of --record. A nil one writes nothing.
type recordFile struct {
	out   *evidence.FrontWriter
	rings []*load.Ring
	batch []load.Sample
}

func createRecord(file string, routes []string, shards int) (*recordFile, error) {
	out, err := evidence.CreateFront(file, routes, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	f := &recordFile{out: out}
	for range shards {
		f.rings = append(f.rings, load.NewRing(recordRing))
	}
	return f, nil
}

func (f *recordFile) flush() {
	if f == nil {
		return
	}
	f.batch = f.batch[:0]
	for _, r := range f.rings {
		f.batch = r.Drain(f.batch)
	}
	f.out.Write(f.batch)
}

func (f *recordFile) lost() uint64 {
	if f == nil {
		return 0
	}
	n := f.out.Lost()
	for _, r := range f.rings {
		n += r.Lost()
	}
	return n
}

func (f *recordFile) close() error {
	if f == nil {
		return nil
	}
	f.flush()
	return f.out.Close()
}

// hlogFile is the file of --hlog. A nil one writes nothing.
type hlogFile struct {
	file *os.File
	out  *bufio.Writer
	log  *hist.LogWriter
	err  error
}

func createHlog(name string, start time.Time) (*hlogFile, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	out := bufio.NewWriter(f)
	log, err := hist.NewLogWriter(out, start, "stormctl load")
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &hlogFile{file: f, out: out, log: log}, nil
}

func (f *hlogFile) write(from, to time.Duration, times *hist.Set) {
	if f == nil || f.err != nil {
		return
	}
	f.err = f.log.Write(from, to, hist.Tagged{Tag: "response", Histogram: times.Response[0]},
		hist.Tagged{Tag: "service", Histogram: times.Service[0]}, hist.Tagged{Tag: "send_lag", Histogram: times.Lag})
	f.err = errors.Join(f.err, f.out.Flush())
}

func (f *hlogFile) close() error {
	if f == nil {
		return nil
	}
	return errors.Join(f.err, f.file.Close())
}
