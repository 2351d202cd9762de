package agents

import (
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/meter"
	"github.com/stormctl/stormctl/load/watch"
)

const (
	// reportAhead is how long before the end of each second an agent hands over what it
	// has seen: it takes up to watch.FlushEvery more, and the way.
	reportAhead = 250 * time.Millisecond
	// mostReported is after how many samples it does so at once: what was counted of
	// them is no longer than a message may be, whatever their times.
	mostReported = 50_000
	// gateSlack is for how long it hands over as it sees before and after the gate is due.
	gateSlack = time.Second
)

// scheduleOf is the schedule of an experiment, the warm-up included, and how long that is.
func scheduleOf(text []byte) (arrivals.Schedule, time.Duration, error) {
	x, err := experiment.Parse("plan", text, experiment.Options{})
	if err != nil {
		return nil, 0, err
	}
	schedule, err := x.Load.Schedule(x.Seed, nil)
	if err != nil {
		return nil, 0, err
	}
	return x.Load.Warmed(schedule), x.Load.Warmup, nil
}

// A recording turns what the event loops of an agent see into frames.
//
//	loop ─observe─▶ tally, ring ─ every 100 ms ─▶ tallies, block ─ every second ─▶ spool
//	watch ─ every second how it did ─────────────────────────────────────────────────▲
type recording struct {
	warmup time.Duration
	gate   time.Duration // about then, of the run's clock, it hands over what it sees as it sees it; 0 is never
	start  time.Time     // of the run's clock: where the warm-up ends
	stats  *load.Stats
	watch  *watch.Watch
	rings  []*ring
	file   *spool

	mu       sync.Mutex // of what follows: the watch's goroutine writes, and end
	row      []int      // where each route is counted, its steps behind it
	counted  *load.Tally
	warmed   *load.Tally // of the warm-up
	pack     packer
	frame    []byte
	since    int    // samples that were handed over and not counted
	handed   uint64 // samples that were handed over
	reported int64  // the second of the run's clock in which it did so
}

func newRecording(p load.Plan, warmup, gate time.Duration, begin time.Time, file *spool) *recording {
	shards := load.Shards(p)
	r := &recording{warmup: warmup, gate: gate, start: begin.Add(warmup), stats: load.NewStats(shards, begin), file: file}
	for range shards {
		r.rings = append(r.rings, &ring{})
	}
	var rows int
	r.row, rows = rowsOf(p.Routes)
	r.counted, r.warmed = load.NewTally(rows, 1), load.NewTally(rows, 1)
	r.watch = watch.New(watch.Config{Rows: len(p.Routes), Shards: shards, Warmup: warmup, Flush: r.flush, Second: r.second})
	return r
}

func (r *recording) begin() { r.watch.Begin(r.start, r.stats, meter.Often) }

// observe is the load's: it is on the event loops' hot path.
func (r *recording) observe(shard int, s load.Sample) {
	tally := r.watch.Tally
	if s.Intended < r.warmup {
		tally = r.watch.Warm
	}
	tally.Observe(shard, s)
	r.rings[shard].put(s)
}

// flush takes the samples that have come, and hands them over if it is time.
func (r *recording) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drain()
	now := time.Since(r.start)
	second := int64((now + reportAhead) / time.Second)
	if r.gate > 0 && (now-r.gate).Abs() < gateSlack || second != r.reported {
		r.reported = second
		r.report()
	}
}

// drain takes the samples that have come.
func (r *recording) drain() {
	for _, ring := range r.rings {
		for ring.take(mostSamples-r.pack.samples, r.take) > 0 {
			if r.pack.samples == mostSamples {
				r.cut()
			}
		}
	}
}

// take takes one, for which there is room.
func (r *recording) take(s *load.Sample) {
	r.pack.add(s)
	row, tally := *s, r.counted
	row.Route = r.row[s.Route] + s.Step
	if s.Intended < r.warmup {
		tally = r.warmed
	}
	tally.Observe(0, row)
}

// cut ends a block.
func (r *recording) cut() {
	if r.pack.samples == 0 {
		return
	}
	r.since += r.pack.samples
	r.handed += uint64(r.pack.samples)
	r.frame = r.pack.block(append(r.frame[:0], frameSamples))
	r.file.write(r.frame)
	if r.since >= mostReported {
		r.count()
	}
}

// count hands over what was counted of the blocks since the last time.
func (r *recording) count() {
	if r.since == 0 {
		return
	}
	r.since = 0
	r.frame = appendCounts(append(r.frame[:0], frameCounts), counts{warm: r.warmed.Delta(), rest: r.counted.Delta()})
	r.file.write(r.frame)
}

// report hands over all that was taken, and how the harness did until then: together, for
// each message wakes the broker, its store and the coordinator up.
func (r *recording) report() {
	r.cut()
	r.count()
	r.file.tell()
}

// second writes how the harness did in a second: it is handed over with the next report.
func (r *recording) second(s watch.Second) {
	health := s.Health()
	lag := s.Counts.Times.Lag.Summary()
	t := evidence.Tick{
		Ended: s.Requests(), LagP50: evidence.Seconds(lag.P50), LagP99: evidence.Seconds(lag.P99), LagMax: evidence.Seconds(lag.Max),
		LateP99: evidence.Seconds(health.Late), HiccupP99: evidence.Seconds(health.HiccupP99),
		HiccupMax: evidence.Seconds(health.HiccupMax),
		Pause:     evidence.Seconds(health.Pause), Busy: health.Busy, Pressure: health.Pressure, Steal: s.Host.Steal,
		Runnable: max(0, s.Host.Runnable), CPU: health.CPU, Cores: health.Cores,
		Starved: s.Loops.Starved, DialLimited: s.Loops.DialLimited,
	}
	r.file.write(jsonFrame(frameSecond, second{At: evidence.Seconds(s.At), Tick: t}))
}

// end writes the rest, and what it came to; why is why it ended early, nil if it did not.
func (r *recording) end(why error) {
	r.watch.Stop()
	r.mu.Lock()
	r.drain()
	r.cut()
	r.count()
	r.mu.Unlock()
	r.watch.Rest(time.Since(r.start))
	r.watch.Close()
	d := done{Samples: r.handed}
	for _, ring := range r.rings {
		d.Lost += ring.lost.Load()
	}
	if why != nil {
		d.Why = why.Error()
	}
	r.file.write(jsonFrame(frameDone, d))
	r.file.end()
}
