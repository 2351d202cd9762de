package adhoc

import (
	"context"
	"errors"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/series"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
	"github.com/stormctl/stormctl/load/meter"
	"github.com/stormctl/stormctl/load/watch"
	"github.com/stormctl/stormctl/reports"
)

// Run is a load that can be driven once. Its clock is at 0 where the warm-up ends.
type Run struct {
	*Job
	start  time.Time
	watch  *watch.Watch
	show   func(chaos.Progress)
	state  chaos.Progress
	record *evidence.SampleWriter // nil is none
	hlog   *hist.LogFile          // nil is none
	health watch.Health
	// of the seconds that are shown
	dueRate, endRate watch.Rate
	live             *series.Live
	lost             uint64 // records, up to the last second
}

// Open makes the record of a load. Drive tells show of every second; it must not
// block.
func Open(j *Job, show func(chaos.Progress)) (r *Run, err error) {
	r = &Run{Job: j, show: show, health: watch.NewHealth(j.Plan.Batch), state: chaos.Progress{Name: j.URL, Total: j.length()}}
	r.watch = watch.New(watch.Config{Rows: len(j.Groups), Shards: load.Shards(j.Plan), Warmup: j.Warmup, Second: r.second, Flush: r.flush})
	r.live = j.live()
	r.record, err = createRecord(j.Record, j.Plan)
	return r, err
}

// Drive drives the load. When ctx is done it sends nothing more and returns what
// it has with Partial set; the cause of ctx, if it is a chaos.Stopped, says why. A
// result with an error is whole, but a file beside it is not.
func (r *Run) Drive(ctx context.Context) (result *reports.Load, err error) {
	begun := time.Now()
	r.start = begun.Add(r.Warmup)
	if r.hlog, err = createHlog(r.Hlog, r.start); err != nil {
		return nil, errors.Join(err, r.closeFiles())
	}
	plan := r.Plan
	plan.Stats = load.NewStats(load.Shards(plan), begun)
	r.Export.Begin(r.exported())
	r.watch.Begin(r.start, plan.Stats, meter.Often)
	defer r.watch.Close()

	runErr := load.Run(ctx, plan, begun, r.observer())
	now, cpu := time.Since(r.start), meter.CPUTime()
	r.watch.Stop()
	if runErr != nil && ctx.Err() == nil {
		return nil, errors.Join(runErr, r.closeFiles())
	}
	r.watch.Rest(now)
	seconds := max(now.Seconds(), 0)
	if runErr == nil {
		seconds = max(seconds, r.Span.Seconds()) // the last arrival is due a gap before the schedule's end
	}
	partial := ""
	if runErr != nil {
		partial = "stopped"
		if s, ok := errors.AsType[chaos.Stopped](context.Cause(ctx)); ok {
			partial = s.Why
		}
	}
	result = r.result(seconds, cpu-r.watch.CPU(), partial)
	for _, t := range r.Thresholds {
		result.Thresholds = append(result.Thresholds, t.judge(result))
	}
	return result, r.closeFiles()
}

func (r *Run) flush() {
	if r.record != nil {
		r.record.Flush(nil)
	}
}

func (r *Run) closeFiles() error {
	if r.record == nil {
		return r.hlog.Close()
	}
	return errors.Join(r.record.Close(), r.hlog.Close())
}

// observer counts samples, by the kinds of request that are told apart, and
// records what is no warm-up. It is on the event loops' hot path.
func (r *Run) observer() load.Observe {
	count := func(t *load.Tally) load.Observe {
		if t == nil || len(r.Plan.Routes) == len(r.Groups) {
			return t.Observe
		}
		return func(shard int, s load.Sample) {
			s.Route = r.Group[s.Route]
			t.Observe(shard, s)
		}
	}
	measured := count(r.watch.Tally)
	if r.record == nil {
		return load.SplitWarmup(r.Warmup, count(r.watch.Warm), measured)
	}
	return load.SplitWarmup(r.Warmup, count(r.watch.Warm), func(shard int, s load.Sample) {
		measured(shard, s)
		r.record.Record(shard, s)
	})
}

// second shows a second of the load, and takes it into account unless it is the
// warm-up's.
func (r *Run) second(s watch.Second) {
	r.state.Phase = "load"
	if s.From < 0 {
		r.state.Phase = "warm-up"
	} else {
		writeHlog(r.hlog, s.From, s.At, s.Counts.Times)
		r.health.Add(s)
		r.addTo(r.live, s)
		r.Export.Second(s, r.offered(s.From, s.At), nil, nil, r.lost)
	}
	p := &r.state
	span, outcomes, requests := s.At-s.From, s.Counts.All(), s.Requests()
	p.At = s.At
	p.Offered, p.Achieved = r.dueRate.Next(r.due(s.From, s.At), span), r.endRate.Next(float64(requests), span)
	all := requests + outcomes[load.Unsent]
	if s.From > 0 && watch.Tail(all, span) {
		return
	}
	p.Success = 0
	if all > 0 {
		p.Success = float64(outcomes[load.OK]) / float64(all)
	}
	response, lag := s.Counts.Times.AllResponse().Summary(), s.Counts.Times.Lag.Summary()
	p.P50, p.P99, p.P999, p.LagP99 = response.P50, response.P99, response.P999, lag.P99
	r.show(*p)
}
