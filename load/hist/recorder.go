package hist

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Recorder takes the times of one shard. One goroutine records, another one
// takes what was recorded. Recording never waits and takes no lock. It allocates only
// for times unlike all that a route had before: a tray keeps its pages.
//
// # Why this is right
//
// There are two sets of trays. active names the one to record into; only the taker
// changes it. inside names the one that is being recorded into right now, nil
// for none; only the writer changes it.
//
//	writer                                 taker
//	1  s = active                          a  active = other
//	2  inside = s                          b  wait until inside != old
//	3  if active != s: back to 1           c  read and reset old
//	4  count in s
//	5  inside = nil
//
// Go's atomics are sequentially consistent, so all of these steps have one
// order. Say the writer counts in old (4), having read active == old in its
// last 3. If that 3 comes before a, then 2 comes before b, so the taker sees
// inside == old until 5, and 5 orders the count before c: it is in this take. If
// it comes after a, it would have read active == other, unless a later take
// made old active again: that take's a orders c before this 4, so the count
// falls in a later take. Either way the count and c never overlap, and each
// count is in exactly one take. A writer that loses the race in 3 has counted
// nothing yet, and goes round once more for each take: mostly once a second.
type Recorder struct {
	active atomic.Pointer[trays]
	inside atomic.Pointer[trays]
	spare  *trays // the taker's; empty between takes

	_ [64]byte // keeps the next shard's Recorder off the cache line this one writes to
}

// NewRecorder returns a recorder for this many routes.
func NewRecorder(routes int) *Recorder {
	r := &Recorder{spare: newTrays(routes)}
	r.active.Store(newTrays(routes))
	return r
}

// Times is what one arrival comes to; see load.Sample.
type Times struct {
	Response, Service, Lag, Late time.Duration
	Sent                         bool // otherwise it has no service time
	Skipped                      bool // it was not let wait, so that it has no response time and no lag either
	Follows                      bool // it waited for an answer before it, so that its lag is not counted
}

// Record counts one arrival of a route. One goroutine may call it at a time.
func (r *Recorder) Record(route int, t Times) {
	s := r.active.Load()
	for {
		r.inside.Store(s)
		now := r.active.Load()
		if now == s {
			break
		}
		s = now
	}
	if !t.Skipped {
		s.response[route].record(t.Response)
	}
	if !t.Follows {
		if !t.Skipped {
			s.lag.record(t.Lag)
		}
		s.late.record(t.Late)
	}
	if t.Sent {
		s.service[route].record(t.Service)
	}
	r.inside.Store(nil)
}

// Take adds what was recorded since the last Take to both sets, which must
// be for as many routes. One goroutine may call it at a time; it may be another
// one than the one that records. It waits for at most one Record.
func (r *Recorder) Take(interval, total *Set) {
	old := r.active.Load()
	r.active.Store(r.spare)
	for tries := 0; r.inside.Load() == old; tries++ {
		if tries < 100 {
			runtime.Gosched()
		} else {
			time.Sleep(50 * time.Microsecond) // the writer lost its core in the middle of a Record
		}
	}
	old.pour(interval, total)
	r.spare = old
}
