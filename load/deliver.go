package load

import (
	"time"

	"github.com/stormctl/stormctl/load/wire"
)

// send puts an arrival on its way: on a connection that has room, on a new one,
// or into the queue.
func (l *loop) send(a arrival, now time.Duration) {
	p := &l.pools[l.routes[a.route].endpoint]
	c := p.pick()
	switch {
	case c != nil:
		l.request(c, a, now)
	case p.open < p.limit && p.queue.size == 0 && !p.awaited(1) && l.mayDial():
		l.dial(p, a)
	case p.queue.size >= p.maxQueue:
		l.skip(a, now)
	default:
		if l.dialGap > 0 && p.open < p.limit && !p.awaited(p.queue.size+1) {
			l.stats.holds()
		}
		p.queue.push(a)
		l.refill = l.refill || p.open < p.limit
	}
}

// request sends an arrival on a connection that has room.
func (l *loop) request(c *conn, a arrival, now time.Duration) {
	e := l.begin(c, a, now)
	if c.dialect.room(c) <= 0 || l.outlived(c) {
		c.pool.withdraw(c)
	}
	if !c.dialect.send(l, e) {
		l.broken(c)
	}
}

// begin gives an arrival to a connection and starts its time.
func (l *loop) begin(c *conn, a arrival, now time.Duration) *exchange {
	w, given := l.way(a)
	return l.beginWay(c, a, w, given, now)
}

// beginWay begins one of the requests of an arrival.
func (l *loop) beginWay(c *conn, a arrival, w *way, given []string, now time.Duration) *exchange {
	var e *exchange
	if n := len(l.spare); n > 0 {
		e, l.spare = l.spare[n-1], l.spare[:n-1]
	} else {
		e = &exchange{}
	}
	e.arrival, e.conn, e.way, e.given, e.sent, e.received, e.written, e.starved = a, c, w, given, now, 0, false, false
	e.review.begin(w.checks)
	q := &l.lines[w.timeout]
	e.deadline = now + q.timeout
	q.push(e)
	c.flying = append(c.flying, e)
	c.began++
	return e
}

// later sends what is pending on a connection at the end of the turn, so that
// all of a turn goes out at once.
func (l *loop) later(c *conn) {
	if !c.dirty {
		c.dirty = true
		l.dirty = append(l.dirty, c)
	}
}

// flush sends what the turn has left pending.
func (l *loop) flush() {
	for i := 0; i < len(l.dirty); i++ { // what breaks may lead to more
		c := l.dirty[i]
		c.dirty = false
		if c.state == open && len(c.pending) > 0 && !l.writePending(c) {
			l.broken(c)
		}
	}
	l.dirty = l.dirty[:0]
}

// writePending sends what is pending: only now the requests in it are on their
// way. It returns false if the connection is broken.
func (l *loop) writePending(c *conn) bool {
	now := l.clock.now()
	for i := len(c.flying) - 1; i >= 0 && !c.flying[i].written; i-- {
		c.flying[i].written, c.flying[i].sent = true, now
	}
	ok := l.write(c, c.pending)
	c.pending = c.pending[:0]
	return ok
}

// received takes what came in on an open connection.
func (l *loop) received(c *conn, p []byte, more bool) {
	if c.secure != nil {
		c.secure.receive(p, more)
		return
	}
	c.dialect.received(l, c, p, more)
}

// ended is told that the peer has sent its last. By TLS it would have said so
// itself: there this is a connection cut off.
func (l *loop) ended(c *conn) {
	if c.secure != nil {
		l.broken(c)
		return
	}
	c.dialect.ended(l, c)
}

// answered ends an exchange by its response and gives the connection to the
// next.
func (l *loop) answered(e *exchange, status int) {
	c, now, outcome := e.conn, max(e.sent, l.came()), OutcomeOf(status)
	if !e.review.passed() {
		outcome = Wrong
	}
	a, next, taken := e.arrival, e.way.next, e.review.taken
	l.finish(e, outcome, status, now)
	if next != nil && outcome == OK && l.goOn(c, a, next, taken) {
		return
	}
	l.release(c)
}

// finish ends an exchange and tells its outcome. What becomes of its connection
// is the caller's business.
func (l *loop) finish(e *exchange, outcome Outcome, status int, now time.Duration) {
	s := Sample{ID: e.seq(), Route: int(e.route), Step: e.way.step, Intended: e.intended, Late: e.late, Sent: e.sent, Done: now, Received: e.received, Status: status, Outcome: outcome, Skipped: e.starved}
	l.leave(e)
	if outcome == Unsent {
		s.Sent = 0
	}
	l.report(s)
}

// leave takes an exchange off its connection.
func (l *loop) leave(e *exchange) {
	c := e.conn
	for i := range c.flying { // the oldest, mostly
		if c.flying[i] == e {
			c.flying = c.flying[:i+copy(c.flying[i:], c.flying[i+1:])]
			break
		}
	}
	l.lines[e.way.timeout].remove(e)
	e.conn = nil
	l.spare = append(l.spare, e)
}

// release gives a connection that has room to the arrivals that wait for it.
func (l *loop) release(c *conn) {
	if c.spent || c.peerDone || l.outlived(c) {
		l.retire(c)
		if len(c.flying) == 0 {
			l.drop(c)
		}
		return
	}
	for generation := c.generation; c.dialect.room(c) > 0; {
		now := l.clock.now()
		a, waits := l.waiting(c.pool, now)
		if !waits {
			c.pool.offer(c)
			return
		}
		l.request(c, a, now)
		if c.generation != generation || l.outlived(c) {
			return
		}
	}
}

// waiting returns an arrival that can be sent at once.
func (l *loop) waiting(p *pool, now time.Duration) (a arrival, ok bool) {
	switch {
	case p.queue.size > 0:
		return p.queue.pop(), true
	case l.closed != nil:
		return l.another(now)
	default:
		return arrival{}, false
	}
}

// unsent gives up an arrival that has waited in vain, skip one that may not wait.
func (l *loop) unsent(a arrival, now time.Duration) { l.neverSent(a, now, false) }

func (l *loop) skip(a arrival, now time.Duration) { l.neverSent(a, now, true) }

func (l *loop) neverSent(a arrival, now time.Duration, skipped bool) {
	w, _ := l.way(a)
	l.report(Sample{ID: wire.SeqOf(a.id, w.step), Route: int(a.route), Step: w.step, Intended: a.intended, Late: a.late, Done: now, Outcome: Unsent, Skipped: skipped})
}

// report is the only place where an arrival becomes a sample.
func (l *loop) report(s Sample) {
	l.unfinished--
	l.observe(l.shard, s)
}
