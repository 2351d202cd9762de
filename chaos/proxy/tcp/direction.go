package tcp

import (
	"syscall"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// direction is one direction of a session.
//
//	src ──▶ read ──▶ write ──▶ dst                    nothing shapes it: no copy is kept
//	            └──▶ backlog ──when due──▶ write
//	src ──▶ pipe ──▶ dst                              in bulk: no copy is made
type direction struct {
	verb    toxic.ConnVerb
	limited bool // some toxic counts its bytes
	shapers []*attachment
	narrow  bool          // one of them makes the sender wait
	cut     int           // size of the next piece, if narrow; 0 if it is not drawn yet
	backlog backlog       // read and not yet written
	resume  time.Duration // a narrow flow reads no more before
	bytes   uint64        // given to dst
	full    int           // how many times in a row a whole buffer was read
	pipe    *pipe         // in bulk
	ended   bool          // there is no more to read, or a toxic wants no more
	cutBy   *activeConn   // that toxic
	over    bool          // the end has been passed on, or the receiver is gone
	queued  bool          // among those that go on in the next turn
}

const (
	// maxBacklog is how much a direction has under way while a toxic delays it;
	// then its sender waits. Linux's windows grow to about as much.
	maxBacklog = 4 << 20
	// readAhead is how long before its piece is due a narrow direction reads on.
	readAhead = 20 * time.Millisecond
	// bulkAfter is how many full buffers in a row make a direction one in bulk.
	bulkAfter = 4
)

// directionOf is a direction as toxics name it.
func directionOf(dir link.Direction) toxic.Direction { return toxic.Upstream + toxic.Direction(dir) }

// shapedBy tells the direction which toxics there are.
func (f *direction) shapedBy(attachments []*attachment, dir link.Direction) {
	f.shapers = shapedBy(f.shapers, attachments, directionOf(dir))
	f.narrow, f.cut, f.resume = false, 0, 0
	for _, g := range f.shapers {
		f.narrow = f.narrow || g.by.shaper.Waits()
	}
}

// end makes the direction fit for another connection.
func (f *direction) end(pipes *pipes) {
	if f.pipe != nil {
		pipes.put(f.pipe)
	}
	f.backlog.drop()
	clear(f.shapers)
	*f = direction{backlog: f.backlog, shapers: f.shapers[:0]}
}

// pump moves bytes until there are no more, no room for them, or others have
// their turn.
func (p *session) pump(dir link.Direction) {
	f, src := &p.directions[dir], &p.peers[dir]
	l := p.loop
	if p.state != sessionPassing || f.verb != toxic.ConnPass || f.over || p.fast {
		return
	}
	for n := 0; ; n++ {
		if f.pipe != nil && (len(f.shapers) > 0 || f.limited) {
			p.unsplice(dir)
		}
		if f.pipe != nil {
			if !p.splice(dir) {
				return
			}
			break
		}
		if !f.backlog.empty() && !p.flush(dir) {
			return
		}
		ended := f.ended
		size := p.room(dir)
		if f.ended != ended {
			continue // a limit is reached: that is the end, behind the backlog
		}
		if size == 0 || !src.readable {
			break
		}
		if n >= pumpBatch {
			p.goOnLater(dir)
			return
		}
		if !p.take(dir, size) {
			return
		}
	}
	if src.broken && !f.ended && !f.queued {
		// It was reset while we did not read: what is unread is lost with it.
		p.endFlow(dir, endRST, nil)
		if !p.flush(dir) {
			return
		}
	}
	if wake := f.wake(l.now); wake != never {
		l.timers.set(p, wake)
	}
}

// wake is when the direction has something to do, if no event tells.
func (f *direction) wake(now time.Duration) time.Duration {
	at := never
	if !f.backlog.empty() {
		if front, _ := f.backlog.front(); front.due > now {
			at = front.due
		}
	}
	if f.resume > now {
		at = min(at, f.resume)
	}
	return at
}

// goOnLater gives the direction a place in the next turn, if there is anything to do.
func (p *session) goOnLater(dir link.Direction) {
	f := &p.directions[dir]
	if idle := f.backlog.empty() && f.pipe == nil && !f.limited && !p.peers[dir].readable; !idle && !f.queued {
		f.queued = true
		p.loop.again = append(p.loop.again, unfinished{p, p.generation, dir})
	}
}

// room is how many bytes may be read now.
func (p *session) room(dir link.Direction) int {
	f, dst, now := &p.directions[dir], &p.peers[1-dir], p.loop.now
	if f.ended {
		return 0
	}
	size := readBuffer
	if !f.backlog.empty() {
		front, _ := f.backlog.front()
		switch {
		case len(f.shapers) == 0, front.due <= now && !dst.writable, f.backlog.size() >= maxBacklog:
			return 0
		case f.narrow && f.backlog.last() > now+readAhead:
			f.resume = f.backlog.last() - readAhead
			return 0
		}
	}
	if f.narrow {
		if f.cut == 0 {
			f.cut = size
			for _, g := range f.shapers {
				f.cut = min(f.cut, g.by.shaper.Cut(f.cut, g.directions[dir].draw(g.by, p.number, dir)))
			}
		}
		size = f.cut
	}
	if f.limited {
		for _, g := range p.attachments {
			if !g.fate.Limited || !g.by.direction.Covers(directionOf(dir)) {
				continue
			}
			left := g.fate.Limit - g.directions[dir].passed
			if left <= 0 {
				p.hit(g)
				p.endFlow(dir, endCut, g.by)
				return 0
			}
			size = int(min(int64(size), left))
		}
	}
	return size
}

// take reads once, and gives on what it has read. It reports whether the session is
// still there.
func (p *session) take(dir link.Direction, size int) bool {
	f, src, l := &p.directions[dir], &p.peers[dir], p.loop
	n, errno := l.poller.receive(src.fd, l.buf[:size])
	switch {
	case errno == syscall.EINTR:
		return true
	case errno == syscall.EAGAIN:
		src.readable = false
		return true
	case errno != 0:
		src.broken, src.readable = true, false
		p.endFlow(dir, endRST, nil)
		return true
	case n == 0:
		src.readable = false
		p.endFlow(dir, endOf(src), nil)
		return true
	case n < size && !src.hungUp:
		// Edge triggered: an event tells of what comes after this.
		src.readable = false
	}
	if n == readBuffer {
		if f.full++; f.full >= bulkAfter && len(f.shapers) == 0 && !f.limited {
			f.full = 0
			f.pipe = l.pipes.get() // nil if there is none to be had
		}
	} else {
		f.full = 0
	}
	p.relay.Got(dir, n)
	if p.greet != nil && dir == link.ToCaller {
		p.greeted(l.buf[:n])
	}
	if p.smallInRow++; n >= fastBuffer {
		p.smallInRow = 0
	}
	return p.give(dir, l.buf[:n])
}

// endOf is how a side has ended that has no more to read.
func endOf(s *peer) end {
	if s.broken {
		return endRST
	}
	return endFIN
}

// give passes bytes on, or keeps what cannot go on yet.
func (p *session) give(dir link.Direction, b []byte) bool {
	f, dst, l := &p.directions[dir], &p.peers[1-dir], p.loop
	if f.limited {
		for _, g := range p.attachments {
			if g.fate.Limited && g.by.direction.Covers(directionOf(dir)) {
				g.directions[dir].passed += int64(len(b))
			}
		}
	}
	if len(f.shapers) > 0 {
		p.delay(dir, b)
		return true
	}
	if f.backlog.empty() && dst.writable {
		n, errno := l.poller.send(dst.fd, b)
		switch errno {
		case 0, syscall.EAGAIN, syscall.EINTR:
		default:
			return p.unwritable(dir)
		}
		p.count(dir, n)
		if b = b[n:]; len(b) == 0 {
			return true
		}
		dst.writable = errno == syscall.EINTR
	}
	f.backlog.push(piece{at: l.now}, b)
	return true
}

// count notes bytes that were given to the receiver.
func (p *session) count(dir link.Direction, n int) {
	p.directions[dir].bytes += uint64(n)
	p.relay.Passed(dir, n)
}

// delay puts bytes into the backlog, in pieces that are due when the shapers
// say.
func (p *session) delay(dir link.Direction, b []byte) {
	f := &p.directions[dir]
	for len(b) > 0 {
		n := len(b)
		if f.narrow {
			f.cut = 0 // this is what was drawn
		} else {
			for _, g := range f.shapers {
				n = min(n, g.by.shaper.Cut(n, g.directions[dir].draw(g.by, p.number, dir)))
			}
		}
		f.backlog.push(p.delayed(dir, n), b[:n])
		b = b[n:]
	}
}

// delayed is a piece of n bytes with the delays of the shapers.
func (p *session) delayed(dir link.Direction, n int) piece {
	f, now := &p.directions[dir], p.loop.now
	x := piece{at: now, delays: make([]delay, 0, len(f.shapers)+1)}
	at := now
	for _, g := range f.shapers {
		state := &g.directions[dir]
		out := max(at, g.by.shaper.Release(n, at, state.free, state.draw(g.by, p.number, dir)))
		if toxic.GrowsInSize(g.by.toxic) {
			out = at + time.Duration(float64(out-at)*g.by.grown(now))
		}
		state.free = out
		if out > at {
			x.delays = append(x.delays, delay{g.by, out - at})
		}
		p.hit(g)
		at = out
	}
	return x
}

// endFlow ends a direction behind what is under way. Where nothing shapes it, a
// RST overtakes what the receiver has no room for.
func (p *session) endFlow(dir link.Direction, how end, by *activeConn) {
	f := &p.directions[dir]
	f.ended, f.cutBy = true, by
	x := p.delayed(dir, 0)
	x.end, x.by = how, by
	if how != endCut {
		for _, g := range p.attachments {
			if g.fate.Ends > 0 && g.by.direction.Covers(directionOf(dir)) {
				p.hit(g)
				x.delays = append(x.delays, delay{g.by, g.fate.Ends})
			}
		}
	}
	if how == endRST && len(f.shapers) == 0 {
		f.backlog.drop()
	}
	f.backlog.push(x, nil)
}

// flush writes what is due. It reports whether the session is still there.
func (p *session) flush(dir link.Direction) bool {
	f, dst, l := &p.directions[dir], &p.peers[1-dir], p.loop
	for !f.backlog.empty() {
		front, bytes := f.backlog.front()
		if front.due > l.now {
			return true
		}
		if front.end != noEnd {
			how := front.end
			f.backlog.pop(0)
			return p.passEnd(dir, how)
		}
		if !dst.writable {
			return true
		}
		n, errno := l.poller.send(dst.fd, bytes)
		switch errno {
		case 0:
			p.count(dir, n)
			f.backlog.pop(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			dst.writable = false
		default:
			return p.unwritable(dir)
		}
	}
	return true
}

// passEnd passes the end of a direction on.
func (p *session) passEnd(dir link.Direction, how end) bool {
	switch how {
	case endRST:
		p.close(goneFrom(dir), true)
		return false
	case endCut:
		p.finish()
		return false
	}
	p.directions[dir].over = true
	if p.directions[1-dir].over {
		p.close(evidence.Answered, false)
		return false
	}
	p.loop.poller.shutdown(p.peers[1-dir].fd) // fails only if that side is gone, which reading it shows
	return true
}

// unwritable is for when the receiver of a direction has reset the connection:
// what it has sent before goes on, and then the reset does.
func (p *session) unwritable(dir link.Direction) bool {
	f, back, dst := &p.directions[dir], &p.directions[1-dir], &p.peers[1-dir]
	f.over, f.ended = true, true
	f.backlog.drop()
	dst.broken, dst.readable, dst.hungUp = true, true, true
	if back.over {
		p.close(goneFrom(1-dir), true)
		return false
	}
	generation := p.generation
	p.pump(1 - dir)
	return p.generation == generation
}

// goneFrom is how a record ends if the sender of a direction has reset the
// connection.
func goneFrom(dir link.Direction) evidence.Ending {
	if dir == callerSide {
		return evidence.CallerGone
	}
	return evidence.Failed
}
