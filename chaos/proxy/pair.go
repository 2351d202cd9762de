package proxy

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/poll"
)

// pair is a caller's connection with its own connection to the dependency.
//
//	         ┌─ pair ─────────────────────────────┐
//	caller ──▶ side 0 ──── flow 0, upstream ────▶ side 1 ──▶ dependency
//	       ◀── side 0 ◀── flow 1, downstream ──── side 1 ◀──
//	         └─────── grips of toxics ────────────┘
type pair struct {
	loop       *streams
	slot       int32
	generation int32 // of what is in the slot
	state      pairState
	number     uint64        // the caller's connection on this link, from 1
	opened     time.Duration // by the loop's clock
	alarm      time.Duration // the next time it has to be looked at; never if there is none
	dialBy     time.Duration
	addrs      []netip.AddrPort // of the dependency, still to be tried

	sides [2]side // the caller's and the dependency's
	flows [2]flow // from side 0 to side 1, and back
	grips []*grip
	calm  int  // small messages in a row that nothing kept up
	gone  bool // forgotten, and nothing keeps it quiet any more: whoever sends is reset

	fast    bool // on the fast path
	leaving bool // and about to leave it

	record   evidence.Exchange
	recorder *recorder // who was to be told when it began; may be nil
}

// pairState is how far a pair is.
type pairState uint8

const (
	pairUnused    pairState = iota
	pairWaiting             // a toxic keeps the dependency from being dialled
	pairDialling            // its name is looked up, or it is dialled
	pairPassing             // open to both sides
	pairForgotten           // open to both sides, and of no use any more
)

// side is one socket of a pair.
type side struct {
	fd       int  // -1 if there is none
	readable bool // there may be something to read
	writable bool // there may be room
	hungUp   bool // the peer sends nothing after what it has sent: read on to the end
	broken   bool // the peer has reset the connection, or the path has
	seat          // on the fast path
}

const (
	callerSide     = 0
	dependencySide = 1
)

// admit makes a pair of an accepted connection.
func (l *streams) admit(fd int, from unix.Sockaddr) {
	poll.Tune(fd, from)
	p := l.place()
	if l.poller.Add(fd, p.slot<<1|callerSide, p.generation) != nil {
		resetSocket(fd) // the kernel's bound on watched descriptors
		l.free = append(l.free, p)
		return
	}
	l.last++
	l.relay.accepted.Add(1)
	p.state, p.number, p.alarm, p.gone, p.calm = pairWaiting, l.last, never, false, 0
	l.now = time.Since(l.origin)
	p.opened = l.now
	p.sides = [2]side{{fd: fd}, {fd: -1}}
	l.open.Add(1)
	p.begin()
	p.grips = p.grips[:0]
	p.grip(l.toxics.list, true)
	p.review()
}

// begin opens the record.
func (p *pair) begin() {
	r := p.loop.relay
	p.recorder = r.recorder.Load()
	p.record = evidence.Exchange{Conn: p.number, InFlight: int(r.inFlight.Add(1)), Seq: r.seq.Add(1)}
	if p.recorder != nil {
		p.record.Begin = time.Since(p.recorder.start)
	}
}

// grip lets toxics take hold, those that are for this connection; fresh tells
// that it came after them.
func (p *pair) grip(toxics []*activeStream, fresh bool) {
	for _, a := range toxics {
		if g, takes := gripOn(a, p.number, &p.loop.rng); takes {
			g.fresh = fresh
			p.grips = append(p.grips, g)
		}
	}
	p.ripen()
	for way := range p.flows {
		p.flows[way].shapedBy(p.grips, way)
	}
}

// ripen lets toxics take hold that have grown to the connection meanwhile. It
// tells whether there were any, and when the next will have.
func (p *pair) ripen() (any bool, next time.Duration) {
	l := p.loop
	next = never
	p.grips = slices.DeleteFunc(p.grips, func(g *grip) bool {
		if !g.holds && g.from > l.now {
			next = min(next, g.from)
		} else if !g.holds {
			any = true
			if !g.grasp() {
				l.relay.overflows[g.by.index].Add(1)
				return true
			}
		}
		return false
	})
	return any, next
}

// heal drops what toxics did that are not in force any more, and lets others
// take hold.
func (p *pair) heal(inForce func(*activeStream) bool) {
	p.grips = slices.DeleteFunc(p.grips, func(g *grip) bool {
		if inForce(g.by) {
			return false
		}
		g.letGo()
		return true
	})
	for way := range p.flows {
		f := &p.flows[way]
		f.backlog.heal(inForce)
		if f.cutBy != nil && !inForce(f.cutBy) {
			f.cutBy, f.ended = nil, false
		}
	}
}

// hit notes that a toxic has done something to the connection.
func (p *pair) hit(g *grip) {
	if !g.hit {
		g.hit = true
		bit := uint64(1) << uint(g.by.index)
		if p.record.Faults&bit == 0 { // else it was there before, and has come again
			p.record.Faults |= bit
			p.loop.relay.hits[g.by.index].Add(1)
		}
	}
}

// review asks all toxics what holds now, and acts on it but for moving bytes. It
// tells whether there may be some to move.
func (p *pair) review() bool {
	l := p.loop
	worst, undialled := toxic.ConnPass, false
	ripe, again := p.ripen()
	if ripe {
		for way := range p.flows {
			p.flows[way].shapedBy(p.grips, way)
		}
	}
	for way := range p.flows {
		p.flows[way].course, p.flows[way].limited = toxic.ConnPass, false
	}
	for _, g := range p.grips {
		if !g.holds {
			continue
		}
		f := g.by.toxic.DecideConn(toxic.Moment{Injected: l.now - g.by.since, Grown: g.from - g.by.since, Opened: l.now - p.opened, Fresh: g.fresh})
		g.fate = f
		if f.Again > 0 {
			again = min(again, l.now+f.Again)
		}
		worst, undialled = max(worst, f.Verb), undialled || f.NoDial
		for way := range p.flows {
			if flow := &p.flows[way]; g.by.direction.Covers(directionOf(way)) {
				flow.course = max(flow.course, f.Verb)
				flow.limited = flow.limited || f.Limited
			}
		}
		if f.Verb != toxic.ConnPass || f.NoDial && p.state == pairWaiting {
			p.hit(g)
		}
	}
	l.alarms.set(p, again)
	switch {
	default:
		return p.state == pairPassing
	case worst == toxic.ConnReset:
		p.close(evidence.Broken, true)
	case worst == toxic.ConnClose:
		p.finish()
	case worst == toxic.ConnBlackhole || p.state == pairForgotten:
		p.forget(worst)
	case p.state == pairWaiting && !undialled && worst == toxic.ConnPass:
		p.dial()
	case p.state == pairDialling && l.now >= p.dialBy:
		p.dialFailed()
	}
	return false
}

// pumpBoth moves what can be moved, both ways.
func (p *pair) pumpBoth() {
	generation := p.generation
	for way := range p.flows {
		if p.generation == generation {
			p.pump(way)
		}
	}
}

// event takes in what the kernel tells of one side.
func (p *pair) event(k int, events uint32) {
	s := &p.sides[k]
	if p.state == pairDialling && k == dependencySide {
		if events&(poll.Writable|poll.HungUp) != 0 {
			p.dialEnded(events)
		}
		return
	}
	blocked := !s.writable
	s.readable = s.readable || events&(poll.Readable|poll.HungUp) != 0
	s.writable = s.writable || events&poll.Writable != 0
	s.hungUp = s.hungUp || events&poll.HungUp != 0
	s.broken = s.broken || events&unix.EPOLLERR != 0
	switch {
	case p.gone:
		p.answer(k)
		return
	case s.broken && (p.state == pairDialling || p.state == pairWaiting && !p.stalled()):
		p.close(evidence.CallerGone, true)
		return
	}
	generation := p.generation
	if s.readable {
		p.pump(k) // flow k comes from side k
	}
	if blocked && s.writable && p.generation == generation {
		p.pump(1 - k)
	}
	if p.generation == generation && p.calm >= p.loop.fast.after {
		p.loop.fast.board(p)
	}
}

// stalled tells whether a toxic lets nothing pass in some direction.
func (p *pair) stalled() bool {
	return p.flows[0].course != toxic.ConnPass || p.flows[1].course != toxic.ConnPass
}

// dial begins to dial the dependency.
func (p *pair) dial() {
	l := p.loop
	p.state, p.dialBy = pairDialling, l.now+dialTimeout
	l.alarms.set(p, p.dialBy)
	if l.dialer.fixed.IsValid() {
		p.addrs = append(p.addrs[:0], l.dialer.fixed)
		p.connect()
		return
	}
	generation := p.generation
	l.dialer.wg.Go(func() {
		addrs := l.dialer.lookup()
		l.mu.Lock()
		l.dialled = append(l.dialled, resolved{p, generation, addrs})
		l.mu.Unlock()
		l.wake()
	})
}

// takeDialled goes on with the dials whose name has been looked up.
func (l *streams) takeDialled() {
	if l.dialer.fixed.IsValid() {
		return
	}
	l.mu.Lock()
	dialled := l.dialled
	l.dialled = nil
	l.mu.Unlock()
	for _, r := range dialled {
		if p := r.pair; p.generation == r.generation && p.state == pairDialling {
			p.addrs = r.addrs
			p.connect()
		}
	}
}

// connect tries the next address.
func (p *pair) connect() {
	l := p.loop
	for len(p.addrs) > 0 {
		addr := p.addrs[0]
		p.addrs = p.addrs[1:]
		fd, errno := l.dialer.connect(addr)
		if errno != 0 && errno != unix.EINPROGRESS {
			continue
		}
		if l.poller.Add(fd, p.slot<<1|dependencySide, p.generation) != nil {
			_ = unix.Close(fd)
			continue
		}
		p.sides[dependencySide] = side{fd: fd}
		if errno == 0 {
			p.dialEnded(poll.Writable)
		}
		return
	}
	p.close(evidence.Failed, true)
}

// dialEnded goes on when the dependency has answered the dial.
func (p *pair) dialEnded(events uint32) {
	s := &p.sides[dependencySide]
	if poll.ConnectError(s.fd) != 0 {
		p.dialFailed()
		return
	}
	p.state, s.writable = pairPassing, true
	s.readable = events&(poll.Readable|poll.HungUp) != 0
	s.hungUp = events&poll.HungUp != 0
	if p.review() {
		p.pumpBoth()
	}
}

// dialFailed tries elsewhere, or gives up: the caller, who is connected, is
// reset.
func (p *pair) dialFailed() {
	if s := &p.sides[dependencySide]; s.fd >= 0 {
		_ = unix.Close(s.fd)
		s.fd = -1
	}
	if p.loop.now >= p.dialBy {
		p.addrs = nil
	}
	p.connect()
}

// forget makes the pair one that each side goes on to believe in. When nothing
// keeps it quiet any more, what they send, or have sent meanwhile, is answered
// by a RST.
func (p *pair) forget(worst toxic.ConnVerb) {
	if p.state == pairWaiting { // nobody knows of it but the caller
		p.sides[dependencySide].fd = -1
	}
	p.state, p.gone = pairForgotten, worst == toxic.ConnPass
	generation := p.generation
	for k := range p.sides {
		if p.gone && p.generation == generation {
			p.answer(k)
		}
	}
}

// answer resets a side of a forgotten pair if it has sent something.
func (p *pair) answer(k int) {
	if s := &p.sides[k]; s.fd >= 0 && (s.readable || s.hungUp) {
		resetSocket(s.fd)
		s.fd = -1
	}
	if p.sides[0].fd < 0 && p.sides[1].fd < 0 {
		p.close(evidence.Broken, true)
	}
}

// finish closes the pair to both sides with a FIN. What they have sent already
// is read, or the kernel would make it a RST.
func (p *pair) finish() {
	for k := range p.sides {
		s := &p.sides[k]
		for n := 0; s.fd >= 0 && n < 16; n++ {
			if got, errno := poll.Receive(s.fd, p.loop.buf); errno != 0 || got == 0 {
				break
			}
		}
	}
	p.close(evidence.Broken, false)
}

// close ends the pair: its record first, then both sockets, hard by a RST.
func (p *pair) close(how evidence.Ending, hard bool) {
	l := p.loop
	l.open.Add(-1)
	l.relay.inFlight.Add(-1)
	p.record.Ending = how
	p.record.BytesUp, p.record.BytesDown = p.flows[0].bytes, p.flows[1].bytes
	if p.recorder != nil {
		p.record.End = time.Since(p.recorder.start)
		p.recorder.observe(p.record)
	}
	for k := range p.sides {
		switch fd := p.sides[k].fd; {
		case fd < 0:
		case hard:
			resetSocket(fd)
		default:
			_ = unix.Close(fd)
		}
	}
	for way := range p.flows {
		p.flows[way].end(&l.pipes)
	}
	for _, g := range p.grips {
		g.letGo()
	}
	clear(p.grips)
	p.grips, p.addrs, p.recorder = p.grips[:0], nil, nil
	p.state = pairUnused
	p.generation++
	l.free = append(l.free, p)
}

// resetSocket closes fd with a RST instead of a FIN, dropping what is unsent.
func resetSocket(fd int) {
	// It fails only on a connection that is gone already.
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(fd)
}
