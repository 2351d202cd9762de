package agents

import (
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/watch"
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
//	loop ─observe─▶ tally, ring ─┐
//	                             ├─ every 100 ms samples, every second how it did ─▶ spool
//	watch ───────────────────────┘
type recording struct {
	warmup time.Duration
	start  time.Time // of the run's clock: where the warm-up ends
	stats  *load.Stats
	watch  *watch.Watch
	rings  []*ring
	file   *spool

	mu     sync.Mutex // of writing: the watch's goroutine does, and end
	handed uint64
	frame  []byte
}

func newRecording(p load.Plan, warmup time.Duration, begin time.Time, file *spool) *recording {
	shards := load.Shards(p)
	r := &recording{warmup: warmup, start: begin.Add(warmup), stats: load.NewStats(shards, begin), file: file}
	for range shards {
		r.rings = append(r.rings, &ring{})
	}
	r.watch = watch.New(watch.Config{Rows: len(p.Routes), Shards: shards, Warmup: warmup, Flush: r.flush, Second: r.second})
	return r
}

func (r *recording) begin() { r.watch.Begin(r.start, r.stats) }

// observe is the load's: it is on the event loops' hot path.
func (r *recording) observe(shard int, s load.Sample) {
	tally := r.watch.Tally
	if s.Intended < r.warmup {
		tally = r.watch.Warm
	}
	tally.Observe(shard, s)
	r.rings[shard].put(s)
}

// flush writes the samples that have come.
func (r *recording) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ring := range r.rings {
		for {
			r.frame = append(r.frame[:0], frameSamples)
			n := ring.take(mostSamples, func(s *load.Sample) { r.frame = appendSample(r.frame, s) })
			if n == 0 {
				break
			}
			r.file.write(r.frame)
			r.handed += uint64(n)
		}
	}
}

// second writes how the harness did in a second.
func (r *recording) second(s watch.Second) {
	health := s.Health()
	lag := s.Interval.Times.Lag.Summary()
	t := evidence.Tick{
		Ended: s.Requests(), LagP50: evidence.Seconds(lag.P50), LagP99: evidence.Seconds(lag.P99), LagMax: evidence.Seconds(lag.Max),
		LateP99: evidence.Seconds(health.Late), HiccupP99: evidence.Seconds(health.HiccupP99), HiccupMax: evidence.Seconds(health.HiccupMax),
		Pause: evidence.Seconds(health.Pause), Busy: health.Busy, Pressure: health.Pressure, Steal: s.Host.Steal, CPU: health.CPU, Cores: health.Cores,
		Starved: s.Loops.Starved, DialLimited: s.Loops.DialLimited,
	}
	r.file.write(jsonFrame(frameSecond, second{At: evidence.Seconds(s.At), Tick: t}))
}

// end writes the rest, and what it came to; why is why it ended early, nil if it did not.
func (r *recording) end(why error) {
	r.watch.Stop()
	r.flush()
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
