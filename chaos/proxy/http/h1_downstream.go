package http

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

const (
	// watch is how often the caller's side looks whether the caller has left
	// while it cannot read: its buffer is full of a request that is stalled or
	// that the dependency does not take.
	watch = 20 * time.Millisecond
	// linger is how long a caller that was answered for the last time may
	// take to close.
	linger = time.Second
)

// step tells the caller's side how to go on.
type step uint8

const (
	again step = iota // look at the state again
	read              // read more, until c.until at most
	stop              // the connection is over
)

// run is the caller's side.
func (c *h1Conn) run() {
	defer c.relay.forget(c)
	for {
		c.seen = c.wakes.Load()
		c.until = time.Time{}
		s := c.advance()
		if s == read {
			if err := c.read(); err != nil && !c.goneHalf(err) {
				// The dependency sees it at once: a caller that waits for a
				// response and closes has given up.
				c.close(evidence.CallerGone, errors.Is(err, syscall.ECONNRESET))
				return
			}
		}
		if s == stop {
			c.close(evidence.Failed, false) // unless it has ended already
			return
		}
	}
}

// read reads what comes from the caller. It returns without having read when
// c.until comes or the connection is woken.
func (c *h1Conn) read() error {
	room := c.in.roomFor(c.phase == reading)
	if len(room) == 0 || c.halfClosed {
		return c.watch()
	}
	if c.armed || !c.until.IsZero() {
		_ = c.caller.SetReadDeadline(c.until) // fails only if closed, as the read will
		c.armed = !c.until.IsZero()
		if c.wakes.Load() != c.seen {
			c.armed = true
			return nil // woken meanwhile: that deadline may have been overwritten
		}
	}
	n, err := c.caller.Read(room)
	c.relay.Got(link.ToDependency, n)
	c.in.filled(n)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.armed = true
		return nil
	}
	return err
}

// watch stands in for read where there is no room for more, or no more to come.
func (c *h1Conn) watch() error {
	wait := watch
	if c.halfClosed {
		wait = time.Hour // there is nothing to watch for
	}
	if !c.until.IsZero() {
		wait = min(wait, max(time.Until(c.until), 0))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-c.nudge:
	case <-timer.C:
		if !c.halfClosed && !c.mayCloseHalf() && transport.HungUp(c.raw) {
			return io.EOF
		}
	}
	return nil
}

// advance does what can be done with what has been read.
func (c *h1Conn) advance() step {
	switch c.phase {
	case reading:
		return c.readHead()
	case gated:
		return c.gate()
	case passing:
		return c.pass()
	case awaiting:
		return c.await()
	case discarding:
		return c.discard()
	case tunneling:
		return c.tunnel()
	default:
		return c.drain()
	}
}

func (c *h1Conn) readHead() step {
	if c.in.empty() {
		return read
	}
	headed, err := false, error(nil)
	if !c.unread.Load() {
		var n int
		n, err = c.req.Parse(c.in.pending())
		if n == 0 && err == nil {
			return read
		}
		if headed = err == nil; headed {
			c.in.keep(n)
			c.headSize, c.framing = n, c.req.Body
			c.out, c.last, c.lost = n, c.req.Close, false
			c.hash = fnvOffset
			err = c.scan()
		}
	}
	if !headed {
		c.out, c.last, c.lost = 0, true, false
	}
	c.begin(headed, err)
	c.phase = gated
	return again
}

// scan looks at the bytes of the request that were read since, so that they may
// be passed on. An error means that they are not HTTP/1.1 any more.
func (c *h1Conn) scan() error {
	for fresh := c.in.pending()[c.out:]; len(fresh) > 0 && !c.req.Body.Done(); {
		n, payload, err := c.req.Body.Span(fresh)
		if payload {
			c.hash = hashOn(c.hash, fresh[:n])
		}
		c.out += n
		fresh = fresh[n:]
		if err != nil {
			return err
		}
	}
	return nil
}

// payload is the hash of the whole body, 0 if there was none.
func (c *h1Conn) payload() uint64 {
	if c.hash == fnvOffset {
		return 0
	}
	return nonZero(c.hash)
}

// more scans what was read since, and notes when the request is complete. It
// reports false if what comes is not HTTP/1.1 any more.
func (c *h1Conn) more() bool {
	if c.unread.Load() {
		return false
	}
	if err := c.scan(); err != nil {
		c.mu.Lock()
		c.leaveUnread("request", err)
		c.mu.Unlock()
		return false
	}
	if c.req.Body.Done() && !c.sent { // only this side changes it
		c.mu.Lock()
		c.sent = true
		c.x.Payload = c.payload()
		c.mu.Unlock()
	}
	return true
}

// gate waits until the request may go on its way: for the delay, for the heal
// of what holds it, for the dial.
func (c *h1Conn) gate() step {
	c.more()
	s, breaks := c.passGate()
	if breaks {
		c.breakOff()
	}
	return s
}

func (c *h1Conn) passGate() (s step, breaks bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := &c.x
	if !x.open || c.closed {
		return stop, false
	}
	var now time.Time
	if x.delay > 0 || x.late > 0 {
		now = time.Now()
	}
	switch verb, until := x.requestGate(now); verb {
	case toxic.Stall:
		if c.until = until; x.verb() == toxic.Respond {
			c.recordHits(toxic.Fate.IsLate) // the answer is the response that waits
		}
		return read, false
	case toxic.Break:
		return stop, true
	case toxic.Respond:
		c.respond()
		return again, false
	}
	if c.up == nil {
		c.up = newH1Upstream(c)
	}
	if c.up.conn == nil {
		return read, false // until it is dialled
	}
	x.passed = true
	c.beginEdit()
	c.phase = passing
	if c.unread.Load() {
		c.phase = tunneling
	}
	return again, false
}

// respond decides that we answer, and with what. c.mu is locked.
func (c *h1Conn) respond() {
	c.x.answering, c.x.answer = true, c.x.fate
	c.recordHits(toxic.Fate.Answers)
	c.phase = discarding
}

// verdict asks whether more of a request that is on its way may be passed on.
// If not, s tells how to go on instead.
func (c *h1Conn) verdict() (s step, ok bool) {
	c.mu.Lock()
	x := &c.x
	verb := toxic.Pass
	if x.open {
		verb, _ = x.requestGate(time.Time{})
	}
	switch {
	case !x.open && c.lost && c.ending == goesOn || c.closed:
		s = stop
	case verb == toxic.Stall:
		s = read
	case verb == toxic.Break:
		c.mu.Unlock()
		c.breakOff()
		return stop, false
	case verb == toxic.Respond:
		c.respond()
		c.giveUp(false)
		s = again
	case x.open && c.tunnels() && c.phase != tunneling && x.answer.Verb != toxic.Respond:
		c.phase = tunneling
		s = again
	default:
		ok = true
	}
	c.mu.Unlock()
	return s, ok
}

// pass passes the request on as it comes. If the response is over before it,
// the rest still has to be got rid of.
func (c *h1Conn) pass() step {
	if !c.more() {
		c.phase = tunneling
		return again
	}
	if s, ok := c.verdict(); !ok {
		return s
	}
	switch {
	case c.out > 0:
		twice := c.editNext()
		s := c.write(c.out)
		if twice {
			c.deliverAgain()
		}
		if c.out == 0 && c.req.Body.Done() {
			c.phase = awaiting
		}
		return s
	case !c.req.Body.Done():
		return read
	default:
		c.phase = awaiting
		return again
	}
}

// write gives up to n bytes to the dependency, less if they do not fit for a
// while. If the dependency takes no more for good, the rest goes nowhere: the
// dependency's side finds out why.
func (c *h1Conn) write(n int) step {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	if up == nil || c.lost {
		c.took(n)
		return again
	}
	// A head alone finds room in the socket's buffer. A body may not, and then
	// the caller must be watched, and the toxics.
	if c.phase == tunneling || c.req.Body.Framing() != wire.NoBody {
		_ = up.conn.SetWriteDeadline(time.Now().Add(watch)) // fails only if closed, as the write will
		up.timed = true
	} else if up.timed {
		_ = up.conn.SetWriteDeadline(time.Time{})
		up.timed = false
	}
	wrote, err := up.conn.Write(c.in.pending()[:n])
	c.relay.Passed(link.ToDependency, wrote)
	c.took(wrote)
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		if c.phase != tunneling && transport.HungUp(c.raw) {
			c.end(evidence.CallerGone)
			return stop
		}
	default:
		c.lost = true
	}
	return again
}

func (c *h1Conn) took(n int) {
	c.in.take(n)
	c.out = max(c.out-n, 0)
	c.edited = max(c.edited-n, 0)
}

// await waits for the end of the response, and goes on to the next request.
func (c *h1Conn) await() step {
	if s, ok := c.verdict(); !ok {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.x.open && c.x.doubtful && !c.in.empty():
		// To the caller the response is over, or to the dependency the request is not.
		c.leaveUnread("request", errDoubtful)
		return again
	case c.x.open:
		c.x.waiting = !c.in.empty()
		return read
	case c.ending == toReset:
		return read // until it is
	case c.ending == toClose:
		return c.beginDrain()
	case c.up == nil || c.up.eof:
		return stop
	default:
		c.in.release()
		c.phase = reading
		return again
	}
}

// discard reads the rest of a request that a fault answers, and answers it. A
// caller that waits for a 100 before it sends the body is not made to.
func (c *h1Conn) discard() step {
	intact := c.more()
	c.took(c.out)
	if s, ok := c.verdict(); !ok {
		return s
	}
	switch {
	case !intact, c.req.Expect100 && !c.req.Body.Done():
		c.last = true
	case !c.req.Body.Done():
		return read
	}
	return c.answer()
}

// beginDrain is called once the caller's direction is closed for writing. Closing
// before it has would reset the connection if it still sends, and might take
// from it what it has not read yet.
func (c *h1Conn) beginDrain() step {
	c.drainBy = time.Now().Add(linger)
	c.phase = draining
	return again
}

// drain reads what still comes behind the last answer.
func (c *h1Conn) drain() step {
	c.took(len(c.in.pending()))
	if !time.Now().Before(c.drainBy) {
		return stop
	}
	c.until = c.drainBy
	return read
}
