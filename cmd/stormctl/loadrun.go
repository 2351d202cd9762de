package main

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/meter"
	"github.com/stormctl/stormctl/reports"
)

// randomRun identifies the run in the ids of its requests.
func randomRun() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails: it ends the program instead (crypto/rand)
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// loadRun is a load that runs. Its clock is at 0 where the warm-up ends.
type loadRun struct {
	*loadJob
	start  time.Time
	tally  *load.Tally
	warm   *load.Tally // of the warm-up
	stats  *load.Stats
	meter  *meter.Meter
	shown  *courier
	record *recordFile
	hlog   *hlogFile

	state    chaos.Progress
	ticked   time.Duration
	cpu      time.Duration // used when the clock began
	check    load.Checkup
	host     meter.Hiccup // the worst seen
	busy     float64
	pressure float64
	pause    time.Duration
	dials    dials
	before   load.Reading // when the clock began
}

// dials are the connections that were opened.
type dials struct {
	until uint64  // as many until the last tick
	most  float64 // per second, in any second
}

// runLoad drives a load and tells what it came to.
func runLoad(ctx context.Context, j *loadJob, o loadOptions, stdout, stderr io.Writer) exitCode {
	shown := newCourier(newProgress(stderr, o.quiet, os.Getenv))
	defer shown.close()
	ctx, release := interruptibleIn(ctx, ending{
		first: "nothing more is sent; the summary follows what is under way, by its --timeout of " + o.timeout.String() + " at the latest",
		again: "what is under way has until its --timeout of " + o.timeout.String(),
	}, shown.say)
	defer release()
	ctx, unlist := haltable(ctx, "load "+j.url, shown.say)
	defer unlist()

	r := &loadRun{loadJob: j, shown: shown, pressure: -1, check: load.Checkup{Batch: o.batch}}
	result, err := r.run(ctx, o)
	if err != nil {
		shown.say(errorText(err))
	}
	if result == nil {
		return exitFailed
	}
	code := loadExit(result)
	if err != nil {
		code = exitFailed
	}
	if err := writeLoad(stdout, result, o.json, os.Getenv); err != nil {
		shown.say(errorText(fmt.Errorf("print result: %w", err)))
		return exitFailed
	}
	return code
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

// run drives the load. A result with an error is whole, but a file beside it is not.
func (r *loadRun) run(ctx context.Context, o loadOptions) (result *reports.Load, err error) {
	shards := load.Shards(r.plan)
	observe := r.observer(shards)
	if o.record != "" {
		if r.record, err = createRecord(o.record, routeNames(r.plan), shards); err != nil {
			return nil, fmt.Errorf("--record: %w", err)
		}
		count := observe
		observe = func(shard int, s load.Sample) {
			count(shard, s)
			r.record.out.Record(shard, s)
		}
	}
	if r.warmup > 0 {
		r.warm = load.NewTally(1, shards)
	}
	observe = load.Apart(r.warmup, func(shard int, s load.Sample) {
		s.Route = 0
		r.warm.Observe(shard, s)
	}, observe)
	r.shown.begin(r.url)
	defer r.shown.end()
	r.meter = meter.Start()
	defer r.meter.Stop()
	begun := time.Now()
	r.start, r.ticked = begun.Add(r.warmup), -r.warmup
	if o.hlog != "" {
		if r.hlog, err = createHlog(o.hlog, r.start); err != nil {
			return nil, fmt.Errorf("--hlog: %w", err)
		}
	}
	r.stats = load.NewStats(shards, begun)
	r.plan.Stats = r.stats
	r.state = chaos.Progress{Name: r.url, Phase: "load", Total: r.length()}

	r.cpu = meter.CPUTime()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		r.watch(stop)
	}()
	runErr := load.Run(ctx, r.plan, begun, observe)
	now, cpu := time.Since(r.start), meter.CPUTime()
	close(stop)
	<-done
	if runErr != nil && ctx.Err() == nil {
		return nil, errors.Join(runErr, r.record.close(), r.hlog.close())
	}
	if r.ticked < 0 {
		r.tickWarm(min(now, 0))
	}
	// The watch may have ticked since: then all that ended is in its tick.
	if now > r.ticked {
		r.tick(now)
	}
	seconds := max(now.Seconds(), 0)
	if runErr == nil {
		seconds = max(seconds, r.span.Seconds()) // the last arrival is due a gap before the schedule's end
	}
	result = r.result(seconds, cpu-r.cpu)
	if runErr != nil {
		result.Partial = "stopped"
		var s chaos.Stopped
		if errors.As(context.Cause(ctx), &s) {
			result.Partial = s.Why
		}
	}
	for _, t := range r.thresholds {
		result.Thresholds = append(result.Thresholds, t.judge(result))
	}
	return result, errors.Join(r.record.close(), r.hlog.close())
}

// observer counts samples, by the kinds of request that are told apart.
func (r *loadRun) observer(shards int) load.Observe {
	r.tally = load.NewTally(len(r.groups), shards)
	if len(r.plan.Routes) == len(r.groups) {
		return r.tally.Observe
	}
	return func(shard int, s load.Sample) {
		s.Route = r.group[s.Route]
		r.tally.Observe(shard, s)
	}
}

// length is how long the load is meant to last without its warm-up; 0 if only
// its requests end it.
func (r *loadRun) length() time.Duration {
	if c := r.plan.Closed; c != nil {
		return max(0, c.Duration-r.warmup)
	}
	return r.plan.Schedule.Duration() - r.warmup
}

// watch ticks every second and writes records down, until stop.
func (r *loadRun) watch(stop <-chan struct{}) {
	flush := time.NewTicker(recordEvery)
	defer flush.Stop()
	second := r.ticked + time.Second
	warm := time.NewTimer(-r.ticked) // what is used and opened from then on counts
	defer warm.Stop()
	for {
		select {
		case <-flush.C:
			r.record.flush()
			now := time.Since(r.start)
			switch {
			case r.ticked < 0 && now >= 0:
				continue // it is warm's turn
			case r.ticked < 0 && now >= second:
				r.tickWarm(now)
			case now >= second:
				r.tick(now)
			default:
				continue
			}
			second = load.NextSecond(now)
		case <-warm.C:
			if r.ticked < 0 {
				r.tickWarm(0)
				second = time.Second
			}
		case <-stop:
			return
		}
	}
}

// tickWarm closes one second of the warm-up at now. When that is over, whatever
// was used and seen until then is forgotten.
func (r *loadRun) tickWarm(now time.Duration) {
	interval, _, reading := r.warm.Interval(), r.meter.Read(), r.stats.Read()
	r.state.Phase = "warm-up"
	r.show(interval, now)
	r.ticked, r.dials.until = now, reading.Dialled
	if now == 0 {
		r.cpu, r.before = meter.CPUTime(), reading
		r.state.Phase = "load"
	}
}

// tick closes one second at now.
func (r *loadRun) tick(now time.Duration) {
	interval, host, reading := r.tally.Interval(), r.meter.Read(), r.stats.Read()
	r.hlog.write(r.ticked, now, interval.Times)
	ended := r.show(interval, now)

	r.host.P99, r.host.Max = max(r.host.P99, host.P99), max(r.host.Max, host.Max)
	r.host.Steal = max(r.host.Steal, host.Steal)
	r.pause = max(r.pause, host.Pause)
	s := load.Second{At: now, Length: now - r.ticked, Ended: ended, Late: interval.Times.Late.Quantile(0.99), HiccupP99: host.P99, HiccupMax: host.Max,
		Pause: host.Pause, Busy: reading.Busy, Pressure: host.Pressure, CPU: host.CPU, Cores: runtime.NumCPU()}
	if span := s.Length.Seconds(); span > 0.2 { // a shorter one says nothing of a second
		r.pressure = max(r.pressure, host.Pressure)
		r.busy = max(r.busy, reading.Busy)
		r.dials.most = max(r.dials.most, float64(reading.Dialled-r.dials.until)/span)
	}
	r.check.Add(s)
	r.ticked, r.dials.until = now, reading.Dialled
}

// show tells of the time since the last tick, and returns how many requests
// ended in it.
func (r *loadRun) show(interval *load.Interval, now time.Duration) (requests uint64) {
	p := &r.state
	p.At, p.Offered = now, 0
	if r.plan.Schedule != nil {
		p.Offered = float64(r.plan.Schedule.Rate((now+r.ticked)/2 + r.warmup))
	}
	outcomes := interval.All()
	var ended uint64
	for _, n := range outcomes {
		ended += n
	}
	requests = ended - outcomes[load.Unsent]
	p.Achieved = float64(requests) / max((now-r.ticked).Seconds(), 1e-3)
	p.Success = 0
	if ended > 0 {
		p.Success = float64(outcomes[load.OK]) / float64(ended)
	}
	response, lag := interval.Times.AllResponse().Summary(), interval.Times.Lag.Summary()
	p.P50, p.P99, p.P999, p.LagP99 = response.P50, response.P99, response.P999, lag.P99
	r.shown.watch(*p)
	return requests
}

func (r *loadRun) result(seconds float64, cpu time.Duration) *reports.Load {
	total := r.tally.Total()
	outcomes := total.All()
	reading := r.stats.Read()
	all := total.Times.AllResponse()
	l := &reports.Load{
		Schema: reports.LoadSchema, URL: r.url, Model: "open", Schedule: r.words, Hosts: hostsOf(r.hosts, r.auto), Offered: float64(r.offered), Started: r.start, Seconds: seconds,
		Unsent: outcomes[load.Unsent], Statuses: map[string]uint64{}, Received: total.Received,
		Response: spread(all), Service: spread(total.Times.AllService()),
		Connections: reports.Connections{Dialled: reading.Dialled - r.before.Dialled, Most: reading.Most, Rate: r.dials.most, Resent: reading.Resent - r.before.Resent},
		Harness: reports.LoadHarness{
			SendLag: spread(total.Times.Lag), Late: spread(total.Times.Late),
			HiccupP99: millis(r.host.P99), HiccupMax: millis(r.host.Max), Steal: r.host.Steal, Pressure: r.pressure,
			CPU: cpu.Seconds() / max(seconds, 1e-9), Busy: 100 * r.busy, Loops: load.Shards(r.plan), Transport: load.TransportName(r.plan),
			GCPause: millis(r.pause), Memory: meter.MaxResident(),
		},
	}
	if r.plan.Closed != nil {
		l.Model = "closed"
	}
	l.Due, l.Outcomes = ended(outcomes)
	for status, n := range total.Statuses {
		if n > 0 {
			l.Statuses[strconv.Itoa(status)] = n
		}
	}
	l.Requests = l.Due - l.Unsent
	l.Rate = float64(l.Requests) / max(seconds, 1e-9)
	l.Success = 100 * float64(outcomes[load.OK]) / math.Max(1, float64(l.Due))
	l.Harness.CPURequest = float64(cpu.Microseconds()) / math.Max(1, float64(l.Requests))
	for _, b := range all.Spectrum() {
		l.Spectrum = append(l.Spectrum, reports.Bin{From: millis(b.From), To: millis(b.To), Count: b.Count})
	}
	for i, name := range r.groups {
		own := result.Route{Name: name, Response: spread(total.Times.Response[i]), Service: spread(total.Times.Service[i])}
		own.Requests, own.Outcomes = ended(total.Outcomes[i])
		own.Success = 100 * float64(total.Outcomes[i][load.OK]) / math.Max(1, float64(own.Requests))
		if len(r.groups) > 1 {
			l.Routes = append(l.Routes, own)
		}
	}
	if r.warmup > 0 {
		r.warm.Interval()
		warm := r.warm.Total()
		times := warm.Times.AllResponse().Summary()
		l.Warmup = result.NewWarmup(r.warmup, warm.All(), times.P50, times.P99)
	}
	l.Harness.Problems = r.problems(l, reading)
	l.Harness.Healthy = len(l.Harness.Problems) == 0
	return l
}

// ended is how many arrivals there were, and how many of each outcome.
func ended(outcomes [load.Outcomes]uint64) (all uint64, by map[string]uint64) {
	by = map[string]uint64{}
	for o, n := range outcomes {
		all += n
		if n > 0 {
			by[load.Outcome(o).String()] = n
		}
	}
	return all, by
}

// problems says why the harness was not well.
func (r *loadRun) problems(l *reports.Load, reading load.Reading) []string {
	w := load.Totals{
		Due: l.Due, Late: time.Duration(l.Harness.Late.P99 * float64(time.Millisecond)), Starved: reading.Starved - r.before.Starved, DialLimited: reading.DialLimited - r.before.DialLimited,
		Lost: r.record.lost(), Open: reading.Most, DialLimit: r.plan.DialRate > 0,
	}
	if l.Partial == "" && r.plan.MaxQueue == 0 {
		w.Unsent = l.Unsent // otherwise they were not to wait, or not for long
	}
	if c := r.plan.Closed; c != nil {
		w.Closed, w.Asked = true, c.Connections
		if c.Requests > 0 {
			w.Asked = int(min(uint64(w.Asked), c.Requests))
		}
	}
	return load.Texts(r.check.Problems(w))
}

func spread(h *hist.Histogram) result.Spread {
	s := h.Summary()
	return result.Spread{P50: millis(s.P50), P90: millis(s.P90), P99: millis(s.P99), P999: millis(s.P999), Max: millis(s.Max)}
}
