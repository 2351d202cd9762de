package load

import (
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/load/meter"
)

// Stats is what event loops count of themselves while they run. One goroutine
// may read it meanwhile.
type Stats struct {
	loops []loopStats
	start time.Time
	last  []time.Duration // CPU time until the last Read, by loop
	read  time.Duration   // when that was
}

// loopStats is written by its loop only.
type loopStats struct {
	thread      atomic.Int64 // that it runs on; 0 if it does not run
	used        atomic.Int64 // CPU time of that thread when it ended
	dialled     atomic.Uint64
	open        atomic.Int64
	most        atomic.Int64
	starved     atomic.Uint64 // this and the others as in Reading
	dialLimited atomic.Uint64
	resent      atomic.Uint64
	tls         told
	followed    atomic.Uint64
	unfollowed  told

	_ [64]byte // keeps the next loop's off the cache line this one writes to
}

// NewStats returns what Plan.Stats wants, for so many shards and a load that
// starts at start.
func NewStats(shards int, start time.Time) *Stats {
	return &Stats{loops: make([]loopStats, shards), start: start, last: make([]time.Duration, shards)}
}

// loop is where loop i counts; of nil Stats, where it is not read.
func (s *Stats) loop(i int) *loopStats {
	if s == nil {
		return &loopStats{}
	}
	return &s.loops[i]
}

// runs makes the calling thread the loop's.
func (s *loopStats) runs() { s.thread.Store(meter.ThreadID()) }

// ends makes it the loop's no more.
func (s *loopStats) ends() {
	s.used.Store(int64(meter.ThreadTime(s.thread.Load())))
	s.thread.Store(0)
}

func (s *loopStats) countDial() {
	count(&s.dialled)
	n := s.open.Load() + 1
	s.open.Store(n)
	s.most.Store(max(n, s.most.Load()))
}

func (s *loopStats) countClosed() { s.open.Store(s.open.Load() - 1) }

// told counts what its user should know the reason of.
type told struct {
	n     atomic.Uint64
	first atomic.Pointer[string] // why; nil if there was none
}

func (t *told) add(why string) {
	count(&t.n)
	if t.first.Load() == nil {
		t.first.Store(&why)
	}
}

// read adds to n, and sets why if that is "".
func (t *told) read(n *uint64, why *string) {
	*n += t.n.Load()
	if first := t.first.Load(); first != nil && *why == "" {
		*why = *first
	}
}

// Reading is what Stats has counted.
type Reading struct {
	Busy        float64 // share of a core that the busiest loop has used since the last Read, 0 to 1; 0 if the system does not say
	Dialled     uint64  // connections so far
	Open        int     // connections now, those being dialled included
	Most        int     // the most that there were: of each loop its own, added up
	Starved     uint64  // arrivals so far that are Unsent because the host had no descriptor or port left
	DialLimited uint64  // arrivals so far that had to wait for Plan.DialRate to allow a connection
	Resent      uint64  // requests so far that were sent again, as the service said that it had not processed them
	TLSFailed   uint64  // connections so far that TLS has ended: a handshake that failed, or an alert of the peer
	TLSError    string  // why the first of them did, as that loop saw it which has the lowest number; "" if there is none
	Followed    uint64  // redirects so far
	Unfollowed  uint64  // redirects so far that Route.Follow does not allow
	Elsewhere   string  // why the first of them was not, as TLSError
}

// Since is r with only those connections and arrivals that were counted after
// before.
func (r Reading) Since(before Reading) Reading {
	r.Dialled -= before.Dialled
	r.Starved -= before.Starved
	r.DialLimited -= before.DialLimited
	r.Resent -= before.Resent
	r.TLSFailed -= before.TLSFailed
	r.Followed -= before.Followed
	r.Unfollowed -= before.Unfollowed
	return r
}

// Read returns how the loops are.
func (s *Stats) Read() Reading {
	var r Reading
	now := time.Since(s.start)
	for i := range s.loops {
		l := &s.loops[i]
		if used := max(meter.ThreadTime(l.thread.Load()), time.Duration(l.used.Load())); used > 0 {
			if span := now - s.read; span > 0 {
				r.Busy = max(r.Busy, min(1, (used-s.last[i]).Seconds()/span.Seconds()))
			}
			s.last[i] = used
		}
		r.Dialled += l.dialled.Load()
		r.Open += int(l.open.Load())
		r.Most += int(l.most.Load())
		r.Starved += l.starved.Load()
		r.DialLimited += l.dialLimited.Load()
		r.Resent += l.resent.Load()
		l.tls.read(&r.TLSFailed, &r.TLSError)
		r.Followed += l.followed.Load()
		l.unfollowed.read(&r.Unfollowed, &r.Elsewhere)
	}
	s.read = now
	return r
}
