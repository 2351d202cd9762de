package http

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// h1Upstream is a connection to the dependency, and the side of h1Conn that reads
// it. The h1Conn gives it up by taking it out of h1Conn.up: what it still reads
// then goes nowhere.
type h1Upstream struct {
	c      *h1Conn
	cancel context.CancelFunc // ends the dial
	nudge  chan struct{}

	conn transport.Conn // nil until dialled; set once, under c.mu
	eof  bool           // the dependency has closed its side; guarded by c.mu

	timed bool // conn has a write deadline; belongs to the caller's side

	// What follows belongs to run alone.
	in   buffer
	out  int // bytes at the front of in that belong to this response and have been looked at
	res  wire.Response
	part part
	fate toxic.Fate // of the exchange, when gate last let something pass
	body bodyPacer
}

// part is which part of a response comes next.
type part uint8

const (
	head    part = iota
	body         // with out bytes of the head still to be passed on, at first
	rest         // everything until the connection ends
	dropped      // the rest of a response that the caller never hears
)

// newH1Upstream starts a connection to the dependency. c.mu is locked.
func newH1Upstream(c *h1Conn) *h1Upstream {
	ctx, cancel := context.WithCancel(context.Background())
	u := &h1Upstream{c: c, cancel: cancel, nudge: make(chan struct{}, 1)}
	u.in.b = make([]byte, 8<<10)
	c.relay.life.WG.Go(func() { u.run(ctx) })
	return u
}

// close closes both directions, hard by a RST. c.mu is locked.
func (u *h1Upstream) close(hard bool) {
	u.cancel()
	switch {
	case u.conn == nil:
	case hard:
		transport.Reset(u.conn)
	default:
		_ = u.conn.Close()
	}
	u.signal()
}

// signal makes gate look at the state again.
func (u *h1Upstream) signal() {
	select {
	case u.nudge <- struct{}{}:
	default:
	}
}

// run is the dependency's side.
func (u *h1Upstream) run(ctx context.Context) {
	defer u.cancel()
	if err := u.dial(ctx); err != nil {
		// The caller has connected already, so this is as near as it gets to
		// what it would have seen without us.
		if u.gate(false, nil) {
			u.c.close(evidence.Failed, true)
		}
		return
	}
	for {
		room := u.in.roomFor(u.part == head)
		n, err := u.conn.Read(room)
		u.c.relay.Got(link.ToCaller, n)
		u.in.filled(n)
		if errors.Is(err, os.ErrDeadlineExceeded) { // the connection is unread now
			_ = u.conn.SetReadDeadline(time.Time{}) // fails only if closed, as the read will
			err = nil
		}
		if !u.process() {
			return
		}
		if err != nil {
			u.ended(err)
			return
		}
	}
}

func (u *h1Upstream) dial(ctx context.Context) error {
	conn, err := u.c.relay.dialer.Dial(ctx, "http/1.1")
	if err != nil {
		return err
	}
	u.c.mu.Lock()
	given := u.c.up != u
	u.conn = conn
	u.c.mu.Unlock()
	if given {
		_ = conn.Close()
		return net.ErrClosed
	}
	u.c.wakeCaller()
	return nil
}

// process passes on what has been read as far as it may. It reports false when
// this side is over.
func (u *h1Upstream) process() bool {
	for !u.in.empty() {
		switch u.part {
		case head:
			complete, ok := u.readHead()
			if !ok {
				return false
			}
			if !complete {
				return true
			}
		case body:
			if !u.passBody() {
				return false
			}
		case dropped:
			if !u.discard() {
				return false
			}
		case rest:
			if !u.pass(len(u.in.pending()), true) {
				return false
			}
		}
	}
	return true
}

// readHead reads a response's head, and passes it on if it is an interim one.
func (u *h1Upstream) readHead() (complete, ok bool) {
	c := u.c
	c.mu.Lock()
	tunnels, asked := c.tunnels(), c.x.open
	toHEAD, toCONNECT, toUpgrade := c.x.toHEAD, c.x.toCONNECT, c.x.toUpgrade
	c.mu.Unlock()
	switch {
	case tunnels:
		u.part = rest
		return true, true
	case !asked: // as servers send it before they close an idle connection
		return true, u.leaveUnread(errUnasked)
	}
	n, err := u.res.Parse(u.in.pending(), toHEAD)
	switch {
	case err != nil:
		return true, u.leaveUnread(err)
	case n == 0:
		return false, true
	case u.res.Interim():
		return true, u.pass(n, false)
	case u.res.Upgrade && !toUpgrade:
		return true, u.leaveUnread(errUnaskedSwitch)
	case u.res.Upgrade || toCONNECT && u.res.Status/100 == 2:
		return true, u.upgrade(n)
	}
	u.part, u.out = body, n
	u.body = bodyPacer{}
	u.body.length, u.body.known = u.res.Body.Left()
	if u.res.Doubtful {
		u.doubt()
	}
	return true, true
}

// passBody passes on what there is of a response, head included.
func (u *h1Upstream) passBody() bool {
	if len(*u.c.relay.toxics.Load()) > 0 {
		// What is to be done to the body is known when it may be passed on.
		switch {
		case !u.gate(true, nil):
			return false
		case u.part == dropped:
			return u.discard()
		case u.part == rest:
			return true
		case u.fate.OnBody():
			return u.writePaced()
		}
	}
	for fresh := u.in.pending()[u.out:]; len(fresh) > 0 && !u.res.Body.Done(); fresh = u.in.pending()[u.out:] {
		n, payload, err := u.res.Body.Span(fresh)
		if err != nil {
			// What could be read, the head above all, passes as such.
			return (u.out == 0 || u.pass(u.out, true)) && (u.part != body || u.leaveUnread(err))
		}
		if payload {
			u.body.at += int64(n)
		}
		u.out += n
	}
	if u.res.Body.Done() {
		return u.passLast()
	}
	return u.pass(u.out, true)
}

// pass passes on n bytes of which more may follow.
func (u *h1Upstream) pass(n int, final bool) bool {
	if !u.gate(final, nil) {
		return false
	}
	if u.part == dropped {
		return u.discard()
	}
	_, err := u.c.writeBack(u.in.pending()[:n])
	u.in.take(n)
	u.out = 0
	if err != nil {
		u.c.close(evidence.CallerGone, true)
	}
	return err == nil
}

// passLast passes on the bytes that end a response. The exchange ends just
// before.
func (u *h1Upstream) passLast() bool {
	c := u.c
	var e ended
	if !u.gate(true, &e) { // takes c.final
		return false
	}
	if u.part != body {
		c.final.Unlock()
		return u.part == rest || u.discard()
	}
	_, err := c.writeBack(u.in.pending()[:u.out])
	c.final.Unlock()
	u.in.take(u.out)
	u.out, u.part = 0, head
	if err != nil {
		e.unwritten(c.relay)
	}
	e.Tell()
	switch {
	case err != nil:
		c.shut(true)
		return false
	case e.breaks:
		c.delivered()
		c.shut(true)
		return false
	case e.waiting:
		c.wakeCaller()
	}
	return true
}

// gate waits until more of the response may be passed on. It reports false if
// none may: this side was given up, or the connection reset.
//
// With last, these are the bytes that end the response: the exchange is
// finished into last with the decision, so that no toxic comes between, and
// c.final is locked.
func (u *h1Upstream) gate(final bool, last *ended) bool {
	c := u.c
	for {
		if last != nil {
			c.final.Lock()
		}
		c.mu.Lock()
		verb, until, given := u.look(final)
		if last != nil && verb == toxic.Pass && !given && u.part == body {
			*last, _ = c.finish(evidence.Answered)
		}
		c.mu.Unlock()
		if verb == toxic.Pass && !given {
			return true
		}
		if last != nil {
			c.final.Unlock()
		}
		switch {
		case given:
			return false
		case verb == toxic.Break:
			c.breakOff()
			return false
		}
		u.wait(until)
	}
}

// look is one look at what gate waits for. c.mu is locked.
func (u *h1Upstream) look(final bool) (verb toxic.Verb, until time.Time, given bool) {
	x := &u.c.x
	if u.c.up != u {
		return toxic.Pass, time.Time{}, true
	}
	if u.part != dropped && u.c.unread.Load() {
		u.part = rest
	}
	u.fate = toxic.Fate{}
	if !x.open {
		return toxic.Pass, time.Time{}, false
	}
	var now time.Time
	if x.late > 0 || !u.body.due.IsZero() {
		now = time.Now()
	}
	if final && u.part == body && !x.answering {
		x.Own = int16(u.res.Status) // until its caller gets it
	}
	verb, until = x.responseGate(now, final)
	if !until.IsZero() {
		u.c.recordHits(toxic.Fate.IsLate)
	}
	if verb != toxic.Pass {
		return verb, until, false
	}
	if u.part == body && x.fate.Paces() && now.Before(u.body.due) {
		return toxic.Stall, u.body.due, false
	}
	if final && !x.answering {
		if u.part == body && x.fate.Drops() {
			u.part, x.dropped = dropped, true
			u.c.recordHits(toxic.Fate.Drops)
			return toxic.Pass, time.Time{}, false
		}
		x.answering = true
		if u.part == body {
			u.describe(&x.Exchange)
		}
	}
	if len(x.decided) > 0 {
		u.fate = x.fate
	}
	return toxic.Pass, time.Time{}, false
}

// describe records what the caller is told.
func (u *h1Upstream) describe(x *evidence.Exchange) {
	x.Status, x.Own = u.res.Status, 0
	if value, ok := u.res.Fields.Get("Retry-After"); ok {
		wait, _ := wire.ParseRetryAfter(value, time.Now())
		x.SetRetryAfter(wait)
	}
}

func (u *h1Upstream) wait(until time.Time) {
	if until.IsZero() {
		<-u.nudge
		return
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-u.nudge:
	case <-timer.C:
	}
}

// ended handles that the dependency closed its side (io.EOF) or reset the
// connection: the caller gets to see the same, idle or not.
func (u *h1Upstream) ended(err error) {
	if !u.gate(false, nil) {
		return
	}
	if u.part == dropped {
		u.dropLast()
		return
	}
	c := u.c
	clean := errors.Is(err, io.EOF)
	c.mu.Lock()
	if c.up != u {
		c.mu.Unlock()
		return
	}
	x := &c.x
	u.eof = true
	if x.open && x.answer.Verb == toxic.Respond {
		c.giveUp(false) // the answer comes from us: the caller is not to notice
		c.mu.Unlock()
		return
	}
	if x.open && c.tunnels() && clean {
		c.mu.Unlock()
		_ = c.caller.CloseWrite() // fails only if the caller is gone, which its own side sees
		c.wakeCaller()            // its side ends it
		return
	}
	how := evidence.Failed
	if clean && u.part == body && u.res.Body.EOF() == nil {
		how = evidence.Answered // by the end of the connection
	}
	if !u.in.empty() { // of a head that will never be complete; the caller's side closes as soon as the exchange has ended
		c.mu.Unlock()
		_, _ = c.writeBack(u.in.pending())
		c.mu.Lock()
		if c.up != u {
			c.mu.Unlock()
			return
		}
	}
	e, ok := c.finish(how)
	uploading := !c.sent
	if !clean {
		c.ending = toReset // the caller's side may look before it is
	}
	c.mu.Unlock()
	if ok {
		e.Tell()
	}
	if clean && uploading && !e.breaks {
		// Closing now would reset the connection and could take the response
		// from a caller that still sends. It ends when the dependency takes no
		// more, or when the caller closes.
		_ = c.caller.CloseWrite()
		c.wakeCaller()
		return
	}
	if e.breaks {
		c.delivered()
	}
	c.shut(!clean || e.breaks)
}
