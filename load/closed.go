package load

import (
	"math"
	"time"
)

// Closed is the closed model: each connection sends its next request when the
// one before is answered, as wrk and its like do; where several are under way on
// it (Plan.Pipeline, Plan.Streams), as many are kept so. A system that stalls is asked
// less, so response times from it omit what callers would have waited
// (coordinated omission); it is for comparing programs at their limit.
type Closed struct {
	Connections int           // kept open and busy, over all loops; 0 means one per loop
	Requests    uint64        // end after this many; 0 means no such end
	Duration    time.Duration // begin no request after this; 0 means no such end
}

// redialPause is how long a loop waits after a dial that failed before it
// dials again: without arrivals that fall due, nothing else would hold it back.
const redialPause = 10 * time.Millisecond

// closedLoop is an event loop's part of a closed model; nil in the open model.
type closedLoop struct {
	left    uint64        // requests that may still begin
	until   time.Duration // none begins from here on
	missing int           // connections to open
	redial  time.Duration // not before this
}

func (m *Closed) loopOf(k, n int) *closedLoop {
	if m == nil {
		return nil
	}
	r := &closedLoop{left: math.MaxUint64, until: m.end(), missing: share(max(m.Connections, n), k, n)}
	if m.Requests > 0 {
		r.left = m.Requests*uint64(k+1)/uint64(n) - m.Requests*uint64(k)/uint64(n)
	}
	return r
}

// end is when the last request may begin; never if that is not bounded.
func (m *Closed) end() time.Duration {
	if m == nil || m.Duration <= 0 {
		return never
	}
	return m.Duration
}

// share is part k of n of a whole, such that all parts make it up.
func share(whole, k, n int) int { return whole*(k+1)/n - whole*k/n }

// over reports whether no request begins any more.
func (r *closedLoop) over(now time.Duration) bool { return r.left == 0 || now >= r.until }

// dialFailed puts the next dial off.
func (r *closedLoop) dialFailed(now time.Duration) {
	if r != nil {
		r.redial = now + redialPause
	}
}

// connClosed makes room for another connection.
func (r *closedLoop) connClosed() {
	if r != nil {
		r.missing++
	}
}

// nextClosed is the next request of the closed model: it is due when a
// connection has room for it.
func (l *loop) nextClosed(now time.Duration) (arrival, bool) {
	if l.closed.over(now) {
		l.closed.left = 0
		return arrival{}, false
	}
	l.closed.left--
	l.next.id += uint64(l.of())
	l.unfinished++
	return arrival{id: l.next.id, intended: now, route: int32(l.pick.route(l.next.id))}, true
}

// dialMissing opens the connections that the closed model lacks.
func (l *loop) dialMissing() {
	r := l.closed
	if r == nil || r.missing == 0 {
		return
	}
	p := &l.pools[0] // the only one
	for n := 0; r.missing > 0 && n < dialBatch; n++ {
		now := l.clock.now()
		if r.over(now) && p.queue.size == 0 {
			r.left, r.missing = 0, 0
			return
		}
		if now < r.redial || !l.mayDial() {
			return
		}
		a, _ := l.waiting(p, now)
		r.missing--
		l.dial(p, a)
	}
}

// nextMissing is when dialMissing has something to do; never in the open model.
func (l *loop) nextMissing() time.Duration {
	r := l.closed
	if r == nil || r.missing == 0 {
		return never
	}
	at := max(r.redial, l.nextDial)
	switch {
	case l.pools[0].queue.size > 0:
		return at
	case r.left == 0:
		return never
	default:
		return min(at, r.until)
	}
}
