//go:build linux

package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// This file is the part of the loop that talks to connections: what becomes of
// an arrival once it has one.

// dial opens a connection for an arrival. The arrival owns what comes of it:
// it does not go over to a connection that comes free meanwhile, and if the
// dial fails that is its outcome.
func (l *loop) dial(p *pool, a arrival) {
	began := l.clock.now()
	fd, errno := connect(p.family, p.to)
	if errno != 0 && errno != unix.EINPROGRESS {
		l.reportDial(a, began, errno)
		return
	}
	c := l.place()
	c.fd, c.pool, c.peerDone = fd, p, false
	c.arrival, c.sent, c.state = a, began, dialling
	p.open++
	l.startTimer(c, began)
	if err := l.poller.add(fd, c.slot, c.generation); err != nil {
		l.unsent(a, l.clock.now()) // the kernel's bound on watched descriptors
		l.drop(c)
		return
	}
	if errno == 0 {
		l.write(c, l.clock.now())
	}
}

// opened goes on when a dial has ended.
func (l *loop) opened(c *conn) {
	if errno := connectError(c.fd); errno != 0 {
		l.reportDial(c.arrival, c.sent, errno)
		l.drop(c)
		return
	}
	l.write(c, l.clock.now())
}

// reportDial tells what a failed dial came to. Where the host has run out of
// something, the service never had the chance to answer: that is Unsent.
func (l *loop) reportDial(a arrival, began time.Duration, errno unix.Errno) {
	now := l.clock.now()
	outcome := Refused
	switch errno {
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EADDRNOTAVAIL, unix.EAGAIN:
		l.unsent(a, now)
		return
	case unix.ETIMEDOUT:
		outcome = TimedOut
	}
	l.report(Sample{ID: a.id, Route: int(a.route), Intended: a.intended, Sent: began, Done: now, Outcome: outcome})
}

// token means one connection, and none that has its place later.
type token struct {
	conn       *conn
	generation int32
}

// readBatch is how many reads of readSize one connection gets in a turn.
const readBatch = 16

// place returns an unused conn.
func (l *loop) place() *conn {
	if n := len(l.unused); n > 0 {
		c := l.unused[n-1]
		l.unused = l.unused[:n-1]
		return c
	}
	c := &conn{slot: int32(len(l.conns))}
	l.conns = append(l.conns, c)
	return c
}

// request sends an arrival on a connection that was idle, or that has just
// answered another.
func (l *loop) request(c *conn, a arrival) {
	c.leave()
	c.arrival = a
	now := l.clock.now()
	l.startTimer(c, now)
	l.write(c, now)
}

// startTimer gives a request its time from began on.
func (l *loop) startTimer(c *conn, began time.Duration) {
	line := &l.lines[l.routes[c.arrival.route].timeout]
	c.deadline = began + line.timeout
	line.push(c)
}

// write sends the request of the connection's arrival.
func (l *loop) write(c *conn, now time.Duration) {
	l.out = l.routes[c.arrival.route].request.Append(l.out[:0], c.arrival.id)
	c.take(now)
	n, errno := send(c.fd, l.out)
	if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		l.fail(c, Reset, l.clock.now())
		return
	}
	if n < len(l.out) {
		c.unwritten = append(c.unwritten, l.out[n:]...)
		l.flush(c)
	}
}

// flush writes on until the kernel takes no more; an event tells when it does.
func (l *loop) flush(c *conn) {
	for len(c.unwritten) > 0 {
		n, errno := send(c.fd, c.unwritten)
		switch errno {
		case 0:
			c.unwritten = c.unwritten[:copy(c.unwritten, c.unwritten[n:])]
		case unix.EINTR:
		case unix.EAGAIN:
			return
		default:
			// The peer may have answered before it stopped to read: look first.
			c.peerDone = true
			l.read(c)
			return
		}
	}
}

// handle works off what the poller found.
func (l *loop) handle(events []unix.EpollEvent) {
	// First take the connections out of use that the peer has closed or has
	// sent something unasked on, lest a request be written to one of them in
	// the same turn.
	for i := range events {
		c := l.connOf(&events[i])
		if c == nil {
			continue
		}
		c.peerDone = c.peerDone || events[i].Events&hungUp != 0
		// None at all is an event about bytes that were read already.
		if c.state == idle && (c.peerDone || events[i].Events&readable != 0 && !c.drained()) {
			l.drop(c)
		}
	}
	for i := range events {
		if c := l.connOf(&events[i]); c != nil {
			l.ready(c, events[i].Events)
		}
		// A batch can take milliseconds: arrivals do not wait for its end.
		l.sendDue()
	}
	l.readOn()
}

// connOf returns the connection an event is about, nil if that is gone.
func (l *loop) connOf(e *unix.EpollEvent) *conn {
	if e.Fd == wakeSlot {
		return nil
	}
	if c := l.conns[e.Fd]; c.generation == e.Pad && c.state != unused {
		return c
	}
	return nil
}

func (l *loop) ready(c *conn, events uint32) {
	switch c.state {
	case dialling:
		l.opened(c)
		if c.state == busy && events&(readable|hungUp) != 0 {
			l.read(c)
		}
	case busy:
		if events&writable != 0 && len(c.unwritten) > 0 {
			l.flush(c)
		}
		if c.state == busy && events&(readable|hungUp) != 0 {
			l.read(c)
		}
	}
}

// read takes what the peer has sent, up to the end of the response.
func (l *loop) read(c *conn) {
	toHEAD := l.routes[c.arrival.route].request.IsHEAD()
	for range readBatch {
		n, errno := receive(c.fd, l.in)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			l.fail(c, Reset, l.clock.now())
			return
		case n == 0:
			if c.endsWell() {
				l.succeed(c, l.clock.now())
				l.drop(c)
			} else {
				l.fail(c, Reset, l.clock.now())
			}
			return
		}
		complete, rest, err := c.parse(&l.head, l.in[:n], toHEAD)
		switch {
		case err != nil:
			l.fail(c, Malformed, l.clock.now())
			return
		case complete:
			l.succeed(c, l.clock.now())
			// Edge triggered: if the buffer was filled there may be more, and
			// no event would tell.
			if rest > 0 || n == len(l.in) && !c.drained() {
				c.closesAfter = true
			}
			l.release(c)
			return
		case n < len(l.in) && !c.peerDone:
			return // all there is for now
		}
	}
	// A body without end must not keep the loop from everything else.
	l.unread = append(l.unread, token{c, c.generation})
}

// readOn goes on with responses that the last turn left, as no event would
// tell of what is there already.
func (l *loop) readOn() {
	for n := len(l.unread); n > 0; n-- {
		t := l.unread[0]
		l.unread = l.unread[:copy(l.unread, l.unread[1:])]
		if t.conn.generation == t.generation && t.conn.state == busy {
			l.read(t.conn)
		}
	}
}

// release gives a connection that has answered to the next arrival.
func (l *loop) release(c *conn) {
	c.leave()
	p := c.pool
	switch {
	case c.closesAfter || c.peerDone || len(c.unwritten) > 0:
		l.drop(c)
	case p.queue.size > 0:
		l.request(c, p.queue.pop())
	default:
		c.state = idle
		p.idle.push(c)
	}
}

func (l *loop) succeed(c *conn, now time.Duration) {
	a := &c.arrival
	l.report(Sample{ID: a.id, Route: int(a.route), Intended: a.intended, Sent: c.sent, Done: now, Status: c.status, Outcome: OutcomeOf(c.status)})
}

// fail ends a connection together with the arrival it works on.
func (l *loop) fail(c *conn, outcome Outcome, now time.Duration) {
	a := &c.arrival
	l.report(Sample{ID: a.id, Route: int(a.route), Intended: a.intended, Sent: c.sent, Done: now, Outcome: outcome})
	l.drop(c)
}

// drop closes a connection.
func (l *loop) drop(c *conn) {
	c.leave()
	_ = unix.Close(c.fd)
	c.state = unused
	c.generation++
	c.pool.open--
	l.refill = l.refill || c.pool.queue.size > 0
	l.unused = append(l.unused, c)
}
