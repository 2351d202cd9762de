package load

import (
	"errors"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/load/wire"
)

// exchange is an arrival on a connection, until its outcome is known. Its
// memory is used again.
type exchange struct {
	arrival
	conn     *conn
	way      *way
	given    []string      // for the request, from the response before
	sent     time.Duration // when the dial began; once written, when its first byte was given to the kernel; of one that is sent again, the last time
	deadline time.Duration
	received int64 // bytes of the response so far
	review   review
	starved  bool // the host had no descriptor or port left for it
	written  bool // of a dialect that sends at the end of the turn: it has been
	stream   stream

	prev, next *exchange // in its line
}

// line holds the exchanges that have the same timeout, in the order of their
// deadlines: one joins at the end, so no timer is needed, and they are linked
// through themselves, so that to join or to leave costs no memory and no
// search.
type line struct {
	timeout     time.Duration
	first, last *exchange
}

func (q *line) push(e *exchange) {
	e.prev, e.next = q.last, nil
	if q.last != nil {
		q.last.next = e
	} else {
		q.first = e
	}
	q.last = e
}

func (q *line) remove(e *exchange) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.last = e.prev
	}
	e.prev, e.next = nil, nil
}

// dialect is how requests and responses are put on connections of a kind. It
// has no state of its own: that is in the conn.
type dialect interface {
	// streams is how many exchanges a connection is expected to take at once.
	streams() int
	// open prepares a connection that has been opened.
	open(l *loop, c *conn)
	// room is how many more exchanges the connection takes now.
	room(c *conn) int
	// send writes the exchange's request, now or by later; false if the
	// connection is broken.
	send(l *loop, e *exchange) bool
	// received takes what came in. more tells that there is more to read
	// already.
	received(l *loop, c *conn, p []byte, more bool)
	// ended is told that the peer has sent its last.
	ended(l *loop, c *conn)
	// cancel ends an exchange whose time has run out.
	cancel(l *loop, e *exchange)
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

// seq tells the request apart from all others of the run.
func (e *exchange) seq() uint64 { return wire.SeqOf(e.id, e.way.step) }

// dial opens a connection for an arrival. The arrival owns what comes of it:
// it does not go over to a connection that comes free meanwhile, and if the
// dial fails that is its outcome.
func (l *loop) dial(p *pool, a arrival) {
	c := l.place(p)
	c.state = dialling
	p.open++
	p.dialling++
	l.stats.dials()
	l.begin(c, a, l.clock.now())
	if p.tls != nil {
		l.handshake(c)
	} else {
		l.net.dial(c)
	}
}

// place returns an unused conn.
func (l *loop) place(p *pool) *conn {
	var c *conn
	if n := len(l.unused); n > 0 {
		c, l.unused = l.unused[n-1], l.unused[:n-1]
	} else {
		c = &conn{slot: int32(len(l.conns)), readyAt: -1}
		l.conns = append(l.conns, c)
	}
	c.pool, c.spent, c.peerDone, c.began = p, false, false, 0
	c.unasked, c.pending = false, c.pending[:0]
	return c
}

// opened goes on when a dial has succeeded.
func (l *loop) opened(c *conn) {
	c.state = open
	c.pool.dialling--
	now := l.clock.now()
	c.opened = now
	c.dialect = c.pool.dialect
	c.dialect.open(l, c)
	for _, e := range c.flying {
		e.sent = now
		if !c.dialect.send(l, e) {
			l.broken(c)
			return
		}
	}
	l.release(c)
	l.refill = l.refill || c.pool.queue.size > 0
}

// dialFailed goes on when a dial has not. Where the host has run out of
// something, the service never had the chance to answer: that is Unsent.
func (l *loop) dialFailed(c *conn, err error) {
	outcome := Refused
	var errno syscall.Errno
	if errors.As(err, &errno) {
		switch errno {
		case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ENOSPC, syscall.EADDRNOTAVAIL, syscall.EAGAIN:
			outcome = Unsent
			l.stats.starves()
			for _, e := range c.flying {
				e.starved = true
			}
		case syscall.ETIMEDOUT:
			outcome = TimedOut
		}
	}
	l.closed.pause(l.clock.now())
	l.lose(c, outcome)
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

// broken is told that the connection is of no use any more.
func (l *loop) broken(c *conn) {
	if len(c.flying) > 0 {
		l.unnoted(false)
	}
	l.lose(c, Reset)
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

// retire begins no more exchanges on a connection.
func (l *loop) retire(c *conn) {
	c.spent = true
	c.pool.withdraw(c)
}

// outlived tells whether a connection has been used as much as the plan wants.
// Lifetimes vary by half, so that connections opened together do not all end
// together.
func (l *loop) outlived(c *conn) bool {
	if l.ConnRequests > 0 && c.began >= l.ConnRequests {
		return true
	}
	if l.ConnLifetime <= 0 {
		return false
	}
	share := 0.5 + float64(wire.Mix(l.Seed^uint64(c.slot)<<32^uint64(c.generation))>>11)/(1<<53)
	return l.clock.now()-c.opened >= time.Duration(share*float64(l.ConnLifetime))
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

// lose ends a connection with all it works on. The oldest exchange is the one
// that the outcome is about; what came behind it was reset.
func (l *loop) lose(c *conn, outcome Outcome) {
	now := l.clock.now()
	for len(c.flying) > 0 {
		l.finish(c.flying[0], outcome, 0, now)
		if outcome != Unsent {
			outcome = Reset
		}
	}
	l.drop(c)
}

// drop closes a connection that works on nothing.
func (l *loop) drop(c *conn) {
	p := c.pool
	p.withdraw(c)
	if c.state == dialling {
		p.dialling--
	}
	l.disconnect(c)
	l.stats.drops()
	c.state = unused
	c.generation++
	p.open--
	l.refill = l.refill || p.queue.size > 0
	l.unused = append(l.unused, c)
	l.closed.lost()
}

// disconnect closes what a connection stands on, at whatever stage it is.
func (l *loop) disconnect(c *conn) {
	if c.cancel != nil {
		c.cancel()
		c.cancel = nil
	}
	c.secure = nil
	l.net.close(c)
}
