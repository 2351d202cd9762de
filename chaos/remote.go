//go:build unix

package chaos

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/timeline"
	"github.com/stormctl/stormctl/load"
)

// A RemoteLoad is the load of one run, sent by processes on other machines. Targets,
// links, faults and the evidence stay here.
type RemoteLoad interface {
	// Shards is how many streams of samples it has.
	Shards() int
	// Ready hands the load out, and returns when all that send it are ready: the first
	// arrival is due at begin. Notes are what to tell of them.
	Ready(ctx context.Context, c LoadSpec) (begin time.Time, notes []string, err error)
	// Run is load.Run: it returns when the outcome of every arrival has been seen, and
	// ends early when ctx does. The error says why nobody can go on.
	Run(ctx context.Context, seen RemoteObserver) error
}

// LoadSpec is a load that others send.
type LoadSpec struct {
	Experiment []byte        // as resolved
	Plan       load.Plan     // of all of it
	Warmup     time.Duration // a part of its schedule
	Gate       time.Duration // when, on the run's clock, all is wanted that was seen until then; 0 is never
	Say        func(string)  // of what it waits for, for people
}

// A RemoteObserver is told what others see; its functions are called by one goroutine. What was
// counted is recorded sample by sample, at once or later: in the end both are the same.
type RemoteObserver struct {
	// Count takes what a shard has counted, of the warm-up and of what is measured; nil
	// is none. Routes are apart there, the steps of each behind it.
	Count func(shard int, warm, rest *load.Counts)
	// Sample takes a sample that was counted. It may wait until what came before is on
	// disk.
	Sample func(shard int, s load.Sample)
	// Unsent takes an arrival that nobody sends, and counts it.
	Unsent func(shard int, s load.Sample)
	// Second takes what an agent knew of its harness and host at the end of a second of
	// the run.
	Second func(agent string, at time.Duration, t evidence.Tick)
	// Lost says that an agent sends its part no more, and why.
	Lost func(agent, why string)
	// Unrecorded says whether something is counted that is not recorded yet.
	Unrecorded func(bool)
	// Wanted asks for all that was counted to be recorded, and is closed when it is.
	Wanted <-chan chan struct{}
}

// flushEvery is how many samples may be taken before they are written: half of what the
// rings of the evidence have room for.
const flushEvery = 20_000

// remote is the side of a run whose load others send.
type remote struct {
	RemoteLoad
	wanted     chan chan struct{}
	over       chan struct{} // closed when Run has returned
	unrecorded atomic.Bool
}

func newRemote(c RemoteLoad) *remote {
	if c == nil {
		return nil
	}
	return &remote{RemoteLoad: c, wanted: make(chan chan struct{}), over: make(chan struct{})}
}

// fetch returns when all that was counted until now is recorded; of a load that is sent
// from here it is.
func (r *remote) fetch() {
	if r == nil {
		return
	}
	told := make(chan struct{})
	select {
	case r.wanted <- told:
		<-told
	case <-r.over:
	}
}

// whole reports whether all that was counted is recorded, or about to be.
func (r *remote) whole() bool { return r == nil || !r.unrecorded.Load() }

// seen records what others see.
func (r *runner) observer() RemoteObserver {
	observe, record, taken := r.rec.observer(), r.rec.counted(), 0
	took := func() {
		if taken++; taken == flushEvery {
			r.rec.watch.Sync()
			taken = 0
		}
	}
	return RemoteObserver{
		Count:  r.rec.count,
		Sample: func(shard int, s load.Sample) { record(shard, s); took() },
		Unsent: func(shard int, s load.Sample) { observe(shard, s); took() },
		Second: func(agent string, at time.Duration, t evidence.Tick) {
			if at > 0 {
				r.rec.add(evidence.Event{At: evidence.Seconds(at), Kind: evidence.KindAgent, Agent: agent, Tick: &t})
			}
		},
		Lost: func(agent, why string) {
			r.add(evidence.Event{Kind: evidence.KindLost, Agent: agent, Text: why})
			r.progress.event("agent " + agent + " is lost: " + why)
		},
		Unrecorded: r.remote.unrecorded.Store,
		Wanted:     r.remote.wanted,
	}
}

// send has the load sent, here or by others.
func (r *runner) send(ctx context.Context, begun time.Time) error {
	if r.remote == nil {
		return load.Run(ctx, r.plan, begun, r.rec.observer())
	}
	defer close(r.remote.over)
	return r.remote.Run(ctx, r.observer())
}

// gateOf is when the steady state of an experiment is asked for; 0 is never.
func gateOf(x *experiment.Experiment, faults timeline.Timeline) time.Duration {
	if len(faults) == 0 || !claimsSteady(x) {
		return 0
	}
	return slices.MinFunc(faults, func(a, b timeline.Event) int { return cmp.Compare(a.At, b.At) }).At
}

// readyRemote gives the load to those that send it.
func readyRemote(ctx context.Context, c RemoteLoad, l LoadSpec) (time.Time, []string, error) {
	begin, notes, err := c.Ready(ctx, l)
	if err == nil && begin.IsZero() {
		err = errors.New("who carries the load did not say when it begins")
	}
	return begin, notes, err
}

// count takes what others have counted.
func (rec *recorder) count(shard int, warm, rest *load.Counts) {
	if warm != nil && rec.watch.Warm != nil {
		rec.watch.Warm.Add(shard, warm)
	}
	if rest != nil {
		rec.watch.Tally.Add(shard, rest)
	}
}

// counted records samples that others have counted. Those of the warm-up have no record.
func (rec *recorder) counted() load.Observe {
	return load.SplitWarmup(rec.warmup, func(int, load.Sample) {}, func(i int, s load.Sample) { rec.samples.Record(i, rec.withRow(s)) })
}
