package http

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// h1Conn is a caller's connection with its own connection to the dependency.
// Two goroutines serve it:
//
//	          ┌─ caller's side (run) ────────────────┐
//	caller ──▶│ head ─▶ gate ─▶ request ─▶ wait      │──▶ dependency
//	          │ always reading: a caller that leaves │
//	          │ is seen at once; answers, breaks,    │
//	          │ waits for delays                     │
//	          └──────────────────────────────────────┘
//	          ┌─ dependency's side (upstream.run) ───┐
//	caller ◀──│ gate ◀─ response                     │◀── dependency
//	          └──────────────────────────────────────┘
//
// The fields above mu belong to the caller's side alone.
type h1Conn struct {
	relay  *Relay
	number uint64
	caller transport.Conn
	raw    syscall.RawConn // of caller

	phase phase
	in    buffer
	out   int // bytes at the front of in that belong to this request and have been looked at
	req   wire.Request
	edit  requestEdit
	hash  uint64 // of the request's body so far
	until time.Time
	seen  uint64 // wakes when the state was last looked at
	armed bool   // caller may have a read deadline
	last  bool   // the connection ends behind this exchange

	headSize int       // of the request
	framing  wire.Body // of the request, before any of it
	edited   int       // bytes at the front of in that edit has done its work on

	lost       bool      // the dependency takes no more: what is left of the request goes nowhere
	halfClosed bool      // the caller has closed its side, and still listens
	drainBy    time.Time // when draining ends

	head  toxic.Head // of the exchange in progress; read by review too, under mu
	draw  draw       // guarded by mu
	wakes atomic.Uint64
	nudge chan struct{}

	// final is locked while the last bytes of a response are given to the
	// caller. The exchange has ended by then, so that the caller, which has
	// them, can begin the next; only an answer of ours must not overtake
	// them. It is taken before mu.
	final sync.Mutex

	// unread is set once, under mu: see leaveUnread.
	unread atomic.Bool

	mu        sync.Mutex
	whyUnread string // why it is unread; "" if it is not, and once that is counted
	x         exchange
	up        *h1Upstream // nil until the first request is passed on, and once it is given up
	sent      bool        // the request in progress, or just ended, has been read whole
	ending    ending      // no request follows the one in progress, or just ended
	closed    bool
}

// phase is what the caller's side is about.
type phase uint8

const (
	reading    phase = iota // a request's head
	gated                   // the head is there: delayed, stalled, or waiting for the dial
	passing                 // the request goes to the dependency
	awaiting                // the end of the response
	discarding              // reading the request that a fault answers
	tunneling               // passing bytes until the end, on a connection whose sides do not take turns
	draining                // answered for the last time: reading until the caller has closed
)

// ending is how a fault ends a connection.
type ending uint8

const (
	goesOn  ending = iota
	toClose        // our side is closed; what still comes is read until the caller has closed
	toReset        // it is about to be reset
)

func newH1Conn(r *Relay, number uint64, caller transport.Conn) *h1Conn {
	c := &h1Conn{relay: r, number: number, caller: caller, nudge: make(chan struct{}, 1)}
	c.raw, _ = caller.SyscallConn() // fails only on a nil connection
	c.in.b = make([]byte, 4<<10)
	c.draw.init()
	c.head.Conn = number
	c.head.Header = func(name string) ([]byte, bool) { return c.req.Fields.Get(name) }
	return c
}

// begin opens the exchange whose request head is in c.req, and lets the toxics
// in force decide for it. why is why the request cannot be read, nil if it can;
// one without a head has neither method nor path.
func (c *h1Conn) begin(headed bool, why error) {
	var of evidence.Exchange
	if headed {
		c.head.Method, c.head.Path = c.req.Method, c.req.Path()
		of = c.relay.identify(&c.head)
	} else {
		c.head.Method, c.head.Path = nil, nil
		c.req = wire.Request{Fields: c.req.Fields[:0]}
		of.Conn = c.number
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.x.begin(c.relay, of)
	c.x.toUpgrade, c.x.doubtful = c.req.Upgrade, c.req.Doubtful
	if why != nil {
		c.leaveUnread("request", why)
	}
	c.countUnread()
	c.sent = !c.unread.Load() && c.req.Body.Done()
	if c.sent {
		c.x.Payload = c.payload()
	}
	c.x.meet(c.relay, &c.head, &c.draw)
}

// recordHits is that of the exchange in progress. c.mu is locked.
func (c *h1Conn) recordHits(match func(toxic.Fate) bool) { c.x.recordHits(c.relay, match) }

// review brings the exchange in progress into line with the toxics in force.
func (c *h1Conn) review(toxics []*active) {
	c.mu.Lock()
	open := c.x.open
	if open {
		c.x.review(c.relay, toxics, &c.head, &c.draw)
	}
	c.mu.Unlock()
	if open {
		c.wake()
	}
}

// writeBack writes to the caller, and counts.
func (c *h1Conn) writeBack(b []byte) (n int, err error) {
	n, err = c.caller.Write(b)
	c.relay.Passed(link.ToCaller, n)
	return n, err
}

// wake makes both sides look at the state again, whatever they wait for. The
// state is changed before.
func (c *h1Conn) wake() {
	c.wakeCaller()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up != nil {
		c.up.signal()
	}
}

// wakeCaller makes the caller's side look at the state again.
func (c *h1Conn) wakeCaller() {
	c.wakes.Add(1)
	_ = c.caller.SetReadDeadline(longAgo) // fails only if it is closed, which wakes too
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}

var longAgo = time.Unix(1, 0)

// finish ends the exchange in progress, if there is one, and the caller's side may
// begin the next. c.mu is locked.
func (c *h1Conn) finish(how evidence.Ending) (e ended, ok bool) {
	// Of what passes until both sides have closed there is nothing behind the response.
	behind := how == evidence.Injected || !c.tunnels()
	if e, ok = c.x.finish(c.relay, how, behind); e.breaks {
		c.ending = toReset
	}
	return e, ok
}

// cut ends everything, because the relay is closed.
func (c *h1Conn) cut() { c.close(evidence.Cut, false) }

// end ends the exchange in progress, if there is one, without another byte.
func (c *h1Conn) end(how evidence.Ending) {
	c.mu.Lock()
	e, ok := c.finish(how)
	c.mu.Unlock()
	if ok {
		e.Tell()
	}
}

// breakOff resets the caller's connection, as a fault wants it.
func (c *h1Conn) breakOff() {
	// The last bytes of the response before are not part of what breaks.
	c.final.Lock()
	defer c.final.Unlock()
	c.close(evidence.Broken, true)
}

func (c *h1Conn) delivered() { c.relay.delivered(c.raw) }

// delivered waits until the caller's side of the network has all that was
// written, for a while at most: a reset drops what it has not.
func (r *Relay) delivered(raw syscall.RawConn) {
	until := time.NewTimer(linger)
	defer until.Stop()
	for transport.Unsent(raw) && !transport.HungUp(raw) {
		select {
		case <-time.After(time.Millisecond):
		case <-until.C:
			return
		case <-r.life.Ctx.Done():
			return
		}
	}
}

// close ends the exchange in progress, if there is one, without another byte, and
// closes both connections, hard by a RST. It does so at once: what the dependency
// sends would else come between the two, and pass as a response to nothing.
func (c *h1Conn) close(how evidence.Ending, hard bool) {
	c.mu.Lock()
	e, ok := c.finish(how)
	closes := c.closeBoth(hard)
	c.mu.Unlock()
	if ok {
		e.Tell()
	}
	if closes {
		c.wakeCaller()
	}
}

// shut closes both connections, hard by a RST. What is in progress has to be
// ended before: the first to see the connection closed would tell it
// otherwise.
func (c *h1Conn) shut(hard bool) {
	c.mu.Lock()
	closes := c.closeBoth(hard)
	c.mu.Unlock()
	if closes {
		c.wakeCaller()
	}
}

// closeBoth closes both connections, and reports false if they are closed. c.mu is locked.
func (c *h1Conn) closeBoth(hard bool) bool {
	if c.closed {
		return false
	}
	c.closed = true
	if hard {
		transport.Reset(c.caller)
	} else {
		_ = c.caller.Close()
	}
	c.giveUp(hard)
	return true
}

// giveUp closes the connection to the dependency, if there is one. c.mu is locked.
func (c *h1Conn) giveUp(hard bool) {
	if c.up != nil {
		c.up.close(hard)
		c.up = nil
	}
}
