package tcp

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/greeting"
	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/poll"
)

// session is a caller's connection with its own connection to the dependency.
//
//	         ┌─ session ──────────────────────────────────┐
//	caller ──▶ peer 0 ──── direction 0, upstream ────▶ peer 1 ──▶ dependency
//	       ◀── peer 0 ◀── direction 1, downstream ──── peer 1 ◀──
//	         └─────── attachments of toxics ────────────┘
type session struct {
	loop       *loop
	relay      *Relay
	slot       int32
	generation int32 // of what is in the slot
	state      sessionState
	number     uint64        // the caller's connection on this link, from 1
	opened     time.Duration // by the loop's clock
	due        time.Duration // the next time it has to be looked at; never if there is none
	dialBy     time.Duration
	addrs      []netip.AddrPort // of the dependency, still to be tried

	peers       [2]peer      // the caller's and the dependency's
	directions  [2]direction // from peer 0 to peer 1, and back
	attachments []*attachment
	smallInRow  int  // small messages in a row that nothing kept up
	gone        bool // forgotten, and no fault keeps it quiet any more: a peer that sends is reset

	fast    bool // on the fast path
	leaving bool // and about to leave it

	record link.Record
	greet  *greeting.Reader // reads what the dependency says first; nil if that is read, or is not to be
	code   string           // what that came to
}

// sessionState is how far a session is.
type sessionState uint8

const (
	sessionUnused    sessionState = iota
	sessionWaiting                // a toxic keeps the dependency from being dialled
	sessionDialling               // its name is looked up, or it is dialled
	sessionPassing                // open to both sides
	sessionForgotten              // open to both sides, and of no use any more
)

// peer is one socket of a session.
type peer struct {
	fd        int  // -1 if there is none
	readable  bool // there may be something to read
	writable  bool // there may be room
	hungUp    bool // the peer sends nothing after what it has sent: read on to the end
	broken    bool // the peer has reset the connection, or the path has
	ringState      // on the fast path
}

const (
	callerSide     = 0
	dependencySide = 1
)

// admit makes a session of a connection that a relay has accepted.
func (l *loop) admit(r *Relay, fd int) {
	p := l.place(r)
	if l.poller.Add(fd, p.slot<<1|callerSide, p.generation) != nil {
		l.poller.resetSocket(fd) // the kernel's bound on watched descriptors
		l.free = append(l.free, p)
		return
	}
	r.last++
	r.Accept()
	p.state, p.number, p.due, p.gone, p.smallInRow = sessionWaiting, r.last, never, false, 0
	l.now = time.Since(l.origin)
	p.opened = l.now
	p.peers = [2]peer{{fd: fd}, {fd: -1}}
	r.open.Add(1)
	p.record = link.Record{Exchange: evidence.Exchange{Conn: p.number}}
	r.BeginConn(&p.record)
	if p.greet, p.code = nil, ""; r.config.Greeting != "" {
		p.greet = greeting.New(r.config.Greeting)
	}
	p.attachments = p.attachments[:0]
	p.attach(r.toxics.list, true)
	p.review()
}

// attach lets toxics act, those that are for this connection; fresh tells
// that it came after them.
func (p *session) attach(toxics []*activeConn, fresh bool) {
	for _, a := range toxics {
		if g, takes := attachmentOn(a, p.number, &p.loop.rng); takes {
			g.fresh = fresh
			p.attachments = append(p.attachments, g)
		}
	}
	p.activateDue()
	for dir := range link.Directions {
		p.directions[dir].shapedBy(p.attachments, dir)
	}
}

// activateDue lets toxics act that have grown to the connection meanwhile. It
// reports whether there were any, and when the next will have.
func (p *session) activateDue() (any bool, next time.Duration) {
	l := p.loop
	next = never
	p.attachments = slices.DeleteFunc(p.attachments, func(g *attachment) bool {
		if !g.holds && g.from > l.now {
			next = min(next, g.from)
		} else if !g.holds {
			any = true
			if !g.acquire() {
				g.by.mark.Overflowed()
				return true
			}
		}
		return false
	})
	return any, next
}

// heal undoes what toxics did that are not in force any more; others may then
// take hold.
func (p *session) heal(inForce func(*activeConn) bool) {
	p.attachments = slices.DeleteFunc(p.attachments, func(g *attachment) bool {
		if inForce(g.by) {
			return false
		}
		g.release()
		return true
	})
	for dir := range link.Directions {
		f := &p.directions[dir]
		f.backlog.heal(inForce)
		if f.cutBy != nil && !inForce(f.cutBy) {
			f.cutBy, f.ended = nil, false
		}
	}
}

// hit notes that a toxic has done something to the connection.
func (p *session) hit(g *attachment) {
	if !g.hit {
		g.hit = true
		p.relay.Touch(&p.record, g.by.mark)
	}
}

// review asks all toxics what holds now, and acts on it but for moving bytes. It
// reports whether there may be some to move.
func (p *session) review() bool {
	l := p.loop
	worst, undialled := toxic.ConnPass, false
	ripe, again := p.activateDue()
	if ripe {
		for dir := range link.Directions {
			p.directions[dir].shapedBy(p.attachments, dir)
		}
	}
	for dir := range link.Directions {
		p.directions[dir].verb, p.directions[dir].limited = toxic.ConnPass, false
	}
	for _, g := range p.attachments {
		if !g.holds {
			continue
		}
		f := g.by.toxic.DecideConn(toxic.Moment{
			Injected: l.now - g.by.since, Grown: g.from - g.by.since, Opened: l.now - p.opened, Fresh: g.fresh,
		})
		g.fate = f
		if f.Again > 0 {
			again = min(again, l.now+f.Again)
		}
		worst, undialled = max(worst, f.Verb), undialled || f.NoDial
		for dir := range link.Directions {
			if d := &p.directions[dir]; g.by.direction.Covers(directionOf(dir)) {
				d.verb = max(d.verb, f.Verb)
				d.limited = d.limited || f.Limited
			}
		}
		if f.Verb != toxic.ConnPass || f.NoDial && p.state == sessionWaiting {
			p.hit(g)
		}
	}
	l.timers.set(p, again)
	switch {
	default:
		return p.state == sessionPassing
	case worst == toxic.ConnReset:
		p.close(evidence.Broken, true)
	case worst == toxic.ConnClose:
		p.finish()
	case worst == toxic.ConnBlackhole || p.state == sessionForgotten:
		p.forget(worst)
	case p.state == sessionWaiting && !undialled && worst == toxic.ConnPass:
		p.dial()
	case p.state == sessionDialling && l.now >= p.dialBy:
		p.dialFailed()
	}
	return false
}

// pumpBoth moves what can be moved, both ways.
func (p *session) pumpBoth() {
	generation := p.generation
	for dir := range link.Directions {
		if p.generation == generation {
			p.pump(dir)
		}
	}
}

// event takes in what the kernel tells of one side.
func (p *session) event(k int, events uint32) {
	s := &p.peers[k]
	if p.state == sessionDialling && k == dependencySide {
		if events&(poll.Writable|poll.HungUp) != 0 {
			p.dialEnded(events)
		}
		return
	}
	blocked := !s.writable
	s.readable = s.readable || events&(poll.Readable|poll.HungUp) != 0
	s.writable = s.writable || events&poll.Writable != 0
	s.hungUp = s.hungUp || events&poll.HungUp != 0
	s.broken = s.broken || events&poll.Broken != 0
	switch {
	case p.gone:
		p.answer(k)
		return
	case s.broken && (p.state == sessionDialling || p.state == sessionWaiting && !p.stalled()):
		p.close(evidence.CallerGone, true)
		return
	}
	generation := p.generation
	if s.readable {
		p.pump(link.Direction(k)) // which comes from peer k
	}
	if blocked && s.writable && p.generation == generation {
		p.pump(link.Direction(1 - k))
	}
	if p.generation == generation && p.smallInRow >= p.relay.after && p.greet == nil {
		p.loop.fast.promote(p)
	}
}

// greeted reads on what the dependency says first.
func (p *session) greeted(said []byte) {
	code, done := p.greet.Read(said)
	if done {
		p.code, p.greet = code, nil
	}
}

// stalled reports whether a toxic lets nothing pass in some direction.
func (p *session) stalled() bool {
	return p.directions[0].verb != toxic.ConnPass || p.directions[1].verb != toxic.ConnPass
}

// dial begins to dial the dependency.
func (p *session) dial() {
	l := p.loop
	p.state, p.dialBy = sessionDialling, l.now+transport.DialTimeout
	l.timers.set(p, p.dialBy)
	dialer := &p.relay.dialer
	if dialer.fixed.IsValid() {
		p.addrs = append(p.addrs[:0], dialer.fixed)
		p.connect()
		return
	}
	generation := p.generation
	dialer.wg.Go(func() {
		addrs := dialer.lookup()
		l.order(func() {
			if p.generation == generation && p.state == sessionDialling {
				p.addrs = addrs
				p.connect()
			}
		})
	})
}

// connect tries the next address.
func (p *session) connect() {
	l := p.loop
	for len(p.addrs) > 0 {
		addr := p.addrs[0]
		p.addrs = p.addrs[1:]
		fd, errno := p.relay.dialer.connect(l.poller, addr)
		if errno != 0 && errno != syscall.EINPROGRESS {
			continue
		}
		if l.poller.Add(fd, p.slot<<1|dependencySide, p.generation) != nil {
			l.poller.closeSocket(fd)
			continue
		}
		p.peers[dependencySide] = peer{fd: fd}
		if errno == 0 {
			p.dialEnded(poll.Writable)
		}
		return
	}
	p.unreachable()
}

// unreachable ends a session whose dependency cannot be dialled. The caller is
// connected already, so it cannot be refused; what comes nearest is a RST: an
// error, as a refusal is, where an end of the stream is to many callers a connection
// that was idle for too long, to be replaced at once. A RST may even reach a
// connect(2) that has not returned yet.
func (p *session) unreachable() {
	if !p.relay.config.UnreachableFIN {
		p.close(evidence.Failed, true)
		return
	}
	p.loop.poller.drain(p.peers[callerSide].fd, p.loop.buf)
	p.close(evidence.Failed, false)
}

// dialEnded goes on when the dependency has answered the dial.
func (p *session) dialEnded(events uint32) {
	s := &p.peers[dependencySide]
	if p.loop.poller.connectError(s.fd) != 0 {
		p.dialFailed()
		return
	}
	p.state, s.writable = sessionPassing, true
	s.readable = events&(poll.Readable|poll.HungUp) != 0
	s.hungUp = events&poll.HungUp != 0
	if p.review() {
		p.pumpBoth()
	}
}

// dialFailed tries elsewhere, or gives up.
func (p *session) dialFailed() {
	if s := &p.peers[dependencySide]; s.fd >= 0 {
		p.loop.poller.closeSocket(s.fd)
		s.fd = -1
	}
	if p.loop.now >= p.dialBy {
		p.addrs = nil
	}
	p.connect()
}

// forget leaves each side with a connection that it takes for open. When nothing
// keeps it quiet any more, what they send, or have sent meanwhile, is answered
// by a RST.
func (p *session) forget(worst toxic.ConnVerb) {
	if p.state == sessionWaiting { // there is no connection to the dependency
		p.peers[dependencySide].fd = -1
	}
	p.state, p.gone = sessionForgotten, worst == toxic.ConnPass
	generation := p.generation
	for k := range p.peers {
		if p.gone && p.generation == generation {
			p.answer(k)
		}
	}
}

// answer resets a side of a forgotten session if it has sent something.
func (p *session) answer(k int) {
	if s := &p.peers[k]; s.fd >= 0 && (s.readable || s.hungUp) {
		p.loop.poller.resetSocket(s.fd)
		s.fd = -1
	}
	if p.peers[0].fd < 0 && p.peers[1].fd < 0 {
		p.close(evidence.Broken, true)
	}
}

// finish closes the session to both sides with a FIN. What they have sent already
// is read, or the kernel would make it a RST.
func (p *session) finish() {
	for k := range p.peers {
		s := &p.peers[k]
		if s.fd >= 0 {
			p.loop.poller.drain(s.fd, p.loop.buf)
		}
	}
	p.close(evidence.Broken, false)
}

// close ends the session: its record first, then both sockets, hard by a RST.
func (p *session) close(how evidence.Ending, hard bool) {
	l := p.loop
	p.relay.open.Add(-1)
	extra := p.record.Extra()
	extra.BytesUp, extra.BytesDown, extra.Code = p.directions[0].bytes, p.directions[1].bytes, p.code
	p.record.Extras = &extra
	p.relay.End(&p.record, how)
	p.record.Tell()
	for k := range p.peers {
		switch fd := p.peers[k].fd; {
		case fd < 0:
		case hard:
			l.poller.resetSocket(fd)
		default:
			l.poller.closeSocket(fd)
		}
	}
	for dir := range link.Directions {
		p.directions[dir].end(&l.pipes)
	}
	for _, g := range p.attachments {
		g.release()
	}
	clear(p.attachments)
	p.attachments, p.addrs, p.greet = p.attachments[:0], nil, nil
	p.state = sessionUnused
	p.generation++
	l.free = append(l.free, p)
}
