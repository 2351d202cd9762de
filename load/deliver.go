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
		l.unsent(a, now, true)
	default:
		if l.dialGap > 0 && p.open < p.limit && !p.awaited(p.queue.size+1) {
			count(&l.stats.dialLimited)
		}
		p.queue.push(a)
		l.refill = l.refill || p.open < p.limit
	}
}

// request sends an arrival on a connection that has room.
func (l *loop) request(c *conn, a arrival, now time.Duration) {
	e := l.begin(c, a, now)
	if c.codec.room(c) <= 0 || l.outlived(c) {
		c.pool.withdraw(c)
	}
	if !c.codec.send(l, e) {
		l.broken(c)
	}
}

// begin gives an arrival to a connection and starts its time.
func (l *loop) begin(c *conn, a arrival, now time.Duration) *exchange {
	w, extracted := l.preparedOf(a)
	return l.beginRequest(c, a, w, extracted, now)
}

// beginRequest begins one of the requests of an arrival: its route's or a step.
func (l *loop) beginRequest(c *conn, a arrival, w *preparedRequest, extracted []string, now time.Duration) *exchange {
	var e *exchange
	if n := len(l.spare); n > 0 {
		e, l.spare = l.spare[n-1], l.spare[:n-1]
	} else {
		e = &exchange{}
	}
	e.arrival, e.conn, e.prepared, e.extracted, e.sent, e.received, e.written, e.starved = a, c, w, extracted, now, 0, false, false
	e.check.begin(w.checks)
	q := &l.timeoutLists[w.timeout]
	e.deadline = now + q.timeout
	q.push(e)
	c.inFlight = append(c.inFlight, e)
	c.exchanges++
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
	for i := len(c.inFlight) - 1; i >= 0 && !c.inFlight[i].written; i-- {
		c.inFlight[i].written, c.inFlight[i].sent = true, now
	}
	ok := l.write(c, c.pending)
	c.pending = c.pending[:0]
	return ok
}

// received takes what came in on an open connection.
func (l *loop) received(c *conn, p []byte, more bool) {
	if c.tls != nil {
		c.tls.receive(p, more)
		return
	}
	c.codec.received(l, c, p, more)
}

// ended goes on when the peer has sent its last. By TLS it would have said so
// itself: there this is a connection cut off.
func (l *loop) ended(c *conn) {
	if c.tls != nil {
		l.broken(c)
		return
	}
	c.codec.ended(l, c)
}

// answered ends an exchange by its response and gives the connection to the
// next.
func (l *loop) answered(e *exchange, status int) {
	c, now, outcome := e.conn, max(e.sent, l.receivedAt()), OutcomeOf(status)
	if e.check.location != "" {
		if l.follow(e, status) {
			return
		}
		outcome = Wrong
	} else if !e.check.passed() {
		outcome = Wrong
	}
	a, next, extracted := e.arrival, e.prepared.next, e.check.extracted
	l.finish(e, outcome, status, now)
	if next != nil && outcome == OK && l.sendStep(c, a, next, extracted) {
		return
	}
	l.release(c)
}

// finish ends an exchange and reports its outcome. What becomes of its connection
// is the caller's business.
func (l *loop) finish(e *exchange, outcome Outcome, status int, now time.Duration) {
	s := Sample{
		ID: e.seq(), Route: int(e.route), Step: e.prepared.step, Intended: e.intended, Late: e.late, Sent: e.sent, Done: now,
		Received: e.received, Status: status, Outcome: outcome, Skipped: e.starved,
	}
	if r := e.resend; r != nil && r.redirects > 0 {
		s.Sent = r.first
		s.Received += r.received
	}
	if outcome != Unsent && e.prepared.access != nil {
		l.tellValue(e, s.ID, outcome.Answered())
	}
	l.leave(e)
	if outcome == Unsent {
		s.Sent = 0
	}
	l.report(s)
}

// leave takes an exchange off its connection.
func (l *loop) leave(e *exchange) {
	c := e.conn
	for i := range c.inFlight { // the oldest, mostly
		if c.inFlight[i] == e {
			c.inFlight = c.inFlight[:i+copy(c.inFlight[i:], c.inFlight[i+1:])]
			break
		}
	}
	l.timeoutLists[e.prepared.timeout].remove(e)
	e.conn = nil
	l.spare = append(l.spare, e)
}

// release gives a connection that has room to the arrivals that wait for it.
func (l *loop) release(c *conn) {
	if c.retired || c.peerDone || l.outlived(c) {
		l.retire(c)
		if len(c.inFlight) == 0 {
			l.drop(c)
		}
		return
	}
	for generation := c.generation; c.codec.room(c) > 0; {
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
	case l.lapsed(now):
		return arrival{}, false
	case p.queue.size > 0:
		return p.queue.pop(), true
	case l.closed != nil:
		return l.nextClosed(now)
	default:
		return arrival{}, false
	}
}

// unsent gives up an arrival that has waited to the end; or skipped, one that may
// not wait.
func (l *loop) unsent(a arrival, now time.Duration, skipped bool) {
	w, _ := l.preparedOf(a)
	l.report(Sample{
		ID: wire.SeqOf(a.id, w.step), Route: int(a.route), Step: w.step, Intended: a.intended, Late: a.late, Done: now,
		Outcome: Unsent, Skipped: skipped,
	})
}

// report is the only place where an arrival becomes a sample.
func (l *loop) report(s Sample) {
	l.unfinished--
	l.observe(l.shard, s)
}
