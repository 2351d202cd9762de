package chaos

import (
	"context"
	"errors"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
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
	Say        func(string)  // of what it waits for, for people
}

// Seen is told what others see; its functions are called by one goroutine.
type Seen struct {
	// Sample takes a sample of a shard, as load.Observe does. It may wait until
	// what came before is on disk.
	Sample func(shard int, s load.Sample)
	// Second takes what an agent knew of its harness and host at the end of a second of
	// the run.
	Second func(agent string, at time.Duration, t evidence.Tick)
	// Lost says that an agent carries its part no more, and why.
	Lost func(agent, why string)
}

// inHand is how many samples may be taken before they are written: half of what the
// rings of the evidence have room for.
const inHand = 20_000

// seen records what others see.
func (d *drive) seen() Seen {
	observe, taken := d.rec.observer(), 0
	return Seen{
		Sample: func(shard int, s load.Sample) {
			observe(shard, s)
			if taken++; taken == inHand {
				d.rec.watch.Sync()
				taken = 0
			}
		},
		Second: func(agent string, at time.Duration, t evidence.Tick) {
			if at > 0 {
				d.rec.add(evidence.Event{At: evidence.Seconds(at), Kind: evidence.KindAgent, Agent: agent, Tick: &t})
			}
		},
		Lost: func(agent, why string) {
			d.add(evidence.Event{Kind: evidence.KindLost, Agent: agent, Text: why})
			d.progress.event("agent " + agent + " is lost: " + why)
		},
	}
}

// send has the load sent, here or by others.
func (d *drive) send(ctx context.Context, begun time.Time) error {
	if d.carrier == nil {
		return load.Run(ctx, d.plan, begun, d.rec.observer())
	}
	return d.carrier.Carry(ctx, d.seen())
}

// handOut gives the load to who carries it.
func handOut(ctx context.Context, c Carrier, text []byte, plan load.Plan, warmup time.Duration, say func(string)) (time.Time, []string, error) {
	begin, notes, err := c.Ready(ctx, Carried{Experiment: text, Plan: plan, Warmup: warmup, Say: say})
	if err == nil && begin.IsZero() {
		err = errors.New("who carries the load did not say when it begins")
	}
	return begin, notes, err
}
