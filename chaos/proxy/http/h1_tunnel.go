package http

import (
	"errors"
	"io"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// A connection becomes a tunnel for one of two reasons (see package link). It is
// upgraded if the dependency has agreed to what the caller asked for (a 101, or a
// 2xx to CONNECT): its exchange is that of the request, answered. It is unread if
// what came from one side cannot be read: where the messages of either side begin
// is not known from there on. The exchange in progress lasts until both sides have
// closed.

var (
	errUnasked       = errors.New("it was not asked for")
	errUnaskedSwitch = errors.New("101 to a request that did not ask for it")
	errDoubtful      = errors.New("more came from the caller before the end of a message that two readers could read in two ways")
)

// tunnels reports whether the connection is a tunnel: its sides do not take turns. c.mu
// is locked.
func (c *h1Conn) tunnels() bool { return c.x.upgraded || c.unread.Load() }

// leaveUnread makes the connection an unread tunnel: a message ("request" or "response")
// cannot be read, why says. The caller's side is to look at the state afterwards;
// the dependency's is made to, as it may hold back the beginning of a head. c.mu is
// locked.
func (c *h1Conn) leaveUnread(message string, why error) {
	if c.unread.Swap(true) {
		return
	}
	c.whyUnread = message + ": " + why.Error()
	c.countUnread()
	if c.up != nil && c.up.conn != nil {
		_ = c.up.conn.SetReadDeadline(longAgo) // fails only if closed, which wakes too
	}
}

// countUnread counts an unread connection once there is an exchange on it of which
// the end is not known. c.mu is locked.
func (c *h1Conn) countUnread() {
	if c.x.open && c.whyUnread != "" {
		c.relay.CountUnread(c.whyUnread)
		c.whyUnread = ""
	}
}

// leaveUnread is that of the connection because of what came from the dependency,
// none of which has been passed on yet.
func (u *h1Upstream) leaveUnread(why error) bool {
	c := u.c
	u.part = rest
	c.mu.Lock()
	if c.up == u {
		c.leaveUnread("response", why)
	}
	c.mu.Unlock()
	c.wakeCaller()
	return true
}

// doubt notes that the caller may take the response for another one, and be done
// with it before.
func (u *h1Upstream) doubt() {
	u.c.mu.Lock()
	u.c.x.doubtful = true
	u.c.mu.Unlock()
	u.c.wakeCaller()
}

// upgrade passes on the head of n bytes by which the dependency agrees to another
// protocol.
func (u *h1Upstream) upgrade(n int) bool {
	u.part = body // of no bytes, for look to describe it
	u.body = bodyPacer{}
	if !u.gate(true, nil) {
		return false
	}
	if u.part == dropped {
		return u.discard()
	}
	u.part = rest
	u.c.mu.Lock()
	u.c.x.upgraded = true
	u.c.mu.Unlock()
	ok := u.pass(n, true)
	u.c.wakeCaller()
	return ok
}

// mayCloseHalf reports whether a caller that closes its side still listens. One that
// waits for a response does not, nor one that a fault holds.
func (c *h1Conn) mayCloseHalf() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := &c.x
	return x.open && (x.upgraded || c.unread.Load() && x.passed && x.verb() != toxic.Stall)
}

// goneHalf reports whether a read that failed means only that the caller closed
// its side, and notes that.
func (c *h1Conn) goneHalf(err error) bool {
	c.halfClosed = c.halfClosed || errors.Is(err, io.EOF) && c.mayCloseHalf()
	return c.halfClosed && errors.Is(err, io.EOF)
}

// tunnel passes bytes on until the caller closes its side, and then waits for
// the dependency to close its own.
func (c *h1Conn) tunnel() step {
	if s, ok := c.verdict(); !ok {
		return s
	}
	switch {
	case c.lost || c.halfClosed && c.in.empty():
		return c.tunnelEnd()
	case c.in.empty():
		return read
	default:
		return c.write(len(c.in.pending()))
	}
}

// tunnelEnd is for when nothing more goes from the caller to the dependency.
func (c *h1Conn) tunnelEnd() step {
	c.mu.Lock()
	up := c.up
	over := up == nil || up.eof
	resets := c.ending == toReset
	c.mu.Unlock()
	switch {
	case resets:
		return read // until it is
	case over && c.unread.Load():
		c.end(evidence.Unread)
		return stop
	case over:
		c.end(evidence.Answered)
		return stop
	case c.lost:
		return stop
	}
	_ = up.conn.CloseWrite() // fails only if that side is gone, which is what it is for
	return read
}
