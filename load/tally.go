package load

import (
	"sync/atomic"

	"github.com/stormctl/stormctl/load/hist"
)

// Tally counts what a load comes to. Each event loop counts in a shard of its
// own, without locks or allocations; one goroutine calls Delta, mostly once
// a second.
type Tally struct {
	shards    []*tallyShard
	collector *hist.Collector
	last      Counts // all that was seen so far
	delta     Counts
}

// tallyShard is written by one loop and read by one goroutine.
type tallyShard struct {
	hist     *hist.Recorder
	outcomes []outcomeCounts // by route
	statuses [maxStatus + 1]atomic.Uint64
	received atomic.Int64

	_ [64]byte // keeps the next shard off the cache line this one writes to
}

type outcomeCounts [Outcomes]atomic.Uint64

const maxStatus = 999

// Counts are what ended in a part of a load.
type Counts struct {
	Times    *hist.Set
	Outcomes [][Outcomes]uint64 // by route
	Statuses []uint64           // of complete responses, by status
	Received int64              // bytes of responses
}

// NewTally returns a tally for so many routes and shards.
func NewTally(routes, shards int) *Tally {
	t := &Tally{collector: hist.NewCollector(routes, shards), last: newCounts(routes), delta: newCounts(routes)}
	for i := range shards {
		t.shards = append(t.shards, &tallyShard{hist: t.collector.Recorder(i), outcomes: make([]outcomeCounts, routes)})
	}
	return t
}

func newCounts(routes int) Counts {
	return Counts{Outcomes: make([][Outcomes]uint64, routes), Statuses: make([]uint64, maxStatus+1)}
}

// Observe counts a sample. It is an Observe of its own, or part of one.
func (t *Tally) Observe(shard int, s Sample) {
	sh := t.shards[shard]
	count(&sh.outcomes[s.Route][s.Outcome])
	if s.Status != 0 {
		count(&sh.statuses[min(max(s.Status, 0), maxStatus)])
	}
	sh.received.Store(sh.received.Load() + s.Received)
	sh.hist.Record(s.Route, hist.Times{
		Response: s.ResponseTime(), Service: s.ServiceTime(), Lag: s.SendLag(), Late: s.Late,
		Sent: s.Outcome != Unsent, Skipped: s.Skipped, Follows: s.Step > 0,
	})
}

// Add counts what a tally elsewhere has counted, of as many routes, in the place of
// Observe for a shard whose samples are observed there. One goroutine may call it for a
// shard at a time, beside Delta.
func (t *Tally) Add(shard int, i *Counts) {
	sh := t.shards[shard]
	for route := range i.Outcomes {
		for o, n := range i.Outcomes[route] {
			sh.outcomes[route][o].Store(sh.outcomes[route][o].Load() + n)
		}
	}
	for status, n := range i.Statuses {
		sh.statuses[status].Store(sh.statuses[status].Load() + n)
	}
	sh.received.Store(sh.received.Load() + i.Received)
	t.collector.Add(i.Times)
}

// count is for counters with one writer, where it costs less than an Add.
func count(c *atomic.Uint64) { c.Store(c.Load() + 1) }

// Delta returns what was counted since the last call, or since the start.
// What it returns is valid until the next call.
func (t *Tally) Delta() *Counts {
	now, last := &t.delta, &t.last
	now.Times = t.collector.Delta()
	for route := range now.Outcomes {
		for o := range now.Outcomes[route] {
			now.Outcomes[route][o] = since(&last.Outcomes[route][o], func(s *tallyShard) uint64 { return s.outcomes[route][o].Load() },
				t.shards)
		}
	}
	for status := range now.Statuses {
		now.Statuses[status] = since(&last.Statuses[status], func(s *tallyShard) uint64 { return s.statuses[status].Load() }, t.shards)
	}
	now.Received = since(&last.Received, func(s *tallyShard) int64 { return s.received.Load() }, t.shards)
	return now
}

// since adds up what of counts, moves seen there and returns by how much.
func since[N uint64 | int64](seen *N, of func(*tallyShard) N, shards []*tallyShard) N {
	var sum N
	for _, s := range shards {
		sum += of(s)
	}
	grown := sum - *seen
	*seen = sum
	return grown
}

// Total is all that Delta has returned so far. It goes on growing with
// Delta; the same goroutine may read it.
func (t *Tally) Total() *Counts {
	t.last.Times = t.collector.Total()
	return &t.last
}

// All adds up the outcomes of all routes.
func (i *Counts) All() (sum [Outcomes]uint64) {
	for _, route := range i.Outcomes {
		for o, n := range route {
			sum[o] += n
		}
	}
	return sum
}
