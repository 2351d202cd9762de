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

// A Carrier has others send the load of one run: processes on other machines. Targets,
// links, faults and the evidence stay here.
type Carrier interface {
	// Shards is how many streams of samples it has.
	Shards() int
	// Ready hands the load out, and returns when all that carry it are ready: the first
	// arrival is due at begin. Notes are what to tell of them.
	Ready(ctx context.Context, c Carried) (begin time.Time, notes []string, err error)
	// Carry is load.Run: it returns when the outcome of every arrival has been seen, and
	// ends early when ctx does. The error says why nobody can go on.
	Carry(ctx context.Context, seen Seen) error
}

// Carried is a load that others carry.
type Carried struct {
	Experiment []byte        // as resolved
	Plan       load.Plan     // of all of it
	Warmup     time.Duration // a part of its schedule
	Gate       time.Duration // when, on the run's clock, all is wanted that was seen until then; 0 is never
	Say        func(string)  // of what it waits for, for people
}

// Seen is told what others see; its functions are called by one goroutine. What was
// counted is recorded sample by sample, at once or later: in the end both are the same.
type Seen struct {
	// Count takes what a shard has counted, of the warm-up and of what is measured; nil
	// is none. Routes are apart there, the steps of each behind it.
	Count func(shard int, warm, rest *load.Interval)
	// Sample takes a sample that was counted. It may wait until what came before is on
	// disk.
	Sample func(shard int, s load.Sample)
	// Unsent takes an arrival that nobody sends, and counts it.
	Unsent func(shard int, s load.Sample)
	// Second takes what an agent knew of its harness and host at the end of a second of
	// the run.
	Second func(agent string, at time.Duration, t evidence.Tick)
	// Lost says that an agent carries its part no more, and why.
	Lost func(agent, why string)
	// Behind says whether something is counted that is not recorded yet.
	Behind func(bool)
	// Wanted asks for all that was counted to be recorded, and is closed when it is.
	Wanted <-chan chan struct{}
}

// inHand is how many samples may be taken before they are written: half of what the
// rings of the evidence have room for.
const inHand = 20_000

// A handout is the side of a run whose load others send.
type handout struct {
	Carrier
	wanted chan chan struct{}
	over   chan struct{} // closed when Carry has returned
	behind atomic.Bool
}

func newHandout(c Carrier) *handout {
	if c == nil {
		return nil
	}
	return &handout{Carrier: c, wanted: make(chan chan struct{}), over: make(chan struct{})}
}

// fetch returns when all that was counted until now is recorded; of a load that is sent
// from here it is.
func (h *handout) fetch() {
	if h == nil {
		return
	}
	told := make(chan struct{})
	select {
	case h.wanted <- told:
		<-told
	case <-h.over:
	}
}

// whole reports whether all that was counted is recorded, or about to be.
func (h *handout) whole() bool { return h == nil || !h.behind.Load() }

// seen records what others see.
func (d *drive) seen() Seen {
	observe, record, taken := d.rec.observer(), d.rec.counted(), 0
	took := func() {
		if taken++; taken == inHand {
			d.rec.watch.Sync()
			taken = 0
		}
	}
	return Seen{
		Count:  d.rec.count,
		Sample: func(shard int, s load.Sample) { record(shard, s); took() },
		Unsent: func(shard int, s load.Sample) { observe(shard, s); took() },
		Second: func(agent string, at time.Duration, t evidence.Tick) {
			if at > 0 {
				d.rec.add(evidence.Event{At: evidence.Seconds(at), Kind: evidence.KindAgent, Agent: agent, Tick: &t})
			}
		},
		Lost: func(agent, why string) {
			d.add(evidence.Event{Kind: evidence.KindLost, Agent: agent, Text: why})
			d.progress.event("agent " + agent + " is lost: " + why)
		},
		Behind: d.carrier.behind.Store,
		Wanted: d.carrier.wanted,
	}
}

// send has the load sent, here or by others.
func (d *drive) send(ctx context.Context, begun time.Time) error {
	if d.carrier == nil {
		return load.Run(ctx, d.plan, begun, d.rec.observer())
	}
	defer close(d.carrier.over)
	return d.carrier.Carry(ctx, d.seen())
}

// gateOf is when the steady state of an experiment is asked for; 0 is never.
func gateOf(x *experiment.Experiment, faults timeline.Timeline) time.Duration {
	if len(faults) == 0 || !claimsSteady(x) {
		return 0
	}
	return slices.MinFunc(faults, func(a, b timeline.Event) int { return cmp.Compare(a.At, b.At) }).At
}

// handOut gives the load to who carries it.
func handOut(ctx context.Context, c Carrier, l Carried) (time.Time, []string, error) {
	begin, notes, err := c.Ready(ctx, l)
	if err == nil && begin.IsZero() {
		err = errors.New("who carries the load did not say when it begins")
	}
	return begin, notes, err
}

// count takes what others have counted.
func (rec *recorder) count(shard int, warm, rest *load.Interval) {
	if warm != nil && rec.watch.Warm != nil {
		rec.watch.Warm.Add(shard, warm)
	}
	if rest != nil {
		rec.watch.Tally.Add(shard, rest)
	}
}

// counted records samples that others have counted. Those of the warm-up have no record.
func (rec *recorder) counted() load.Observe {
	return load.Apart(rec.warmup, func(int, load.Sample) {}, func(i int, s load.Sample) { rec.front.Record(i, rec.inRow(s)) })
}
