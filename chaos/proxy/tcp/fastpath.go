//go:build linux && !portable

package tcp

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/poll"
)

// fastPath carries, by io_uring, the connections that only ever pass small
// messages on. The kernel has a receive under way for either side, and one
// system call per turn brings what has come to all of them and takes what goes on;
// with epoll, it takes one to hear of messages, and two more for each.
//
//	epoll ──16 small messages in a row, no toxic── promote ──▶ io_uring
//	epoll ◀──a toxic, bulk, an end, no room─────── demote ─── io_uring
//
// It passes small messages and nothing else. Anything that is not one (an end, an
// error, bulk, no room) demotes the session, and is then dealt with as always, by
// epoll. Before that all that its receives have brought is passed on, so nothing is
// lost or overtaken.
// Where the kernel lets us have no ring, all stay with epoll; we ask again, because what
// it lacked may have been descriptors or memory.
type fastPath struct {
	loop    *loop
	ring    *poll.Ring // nil until a session is promoted
	buffers *poll.Buffers
	retry   time.Duration // there was no ring to be had: when to ask again
	poll.WaitStrategy

	sessions int          // that are on it
	leaving  []*session   // of these, those that are to go back to epoll
	emptying bool         // a relay's are, now
	watched  bool         // a poll of the epoll descriptor is under way
	news     bool         // and it has told of something
	lent     []lentBuffer // of buffers to sends
	done     []poll.Completion
	at       int // the first of them that is not dealt with
}

// ringState is where a side of a session is on the fast path.
type ringState struct {
	receiving bool   // the kernel has a receive for it
	cancelled bool   // and was told to end it
	message   []byte // what was sent to it last
	sends     bool   // which was not handed over yet
}

// lentBuffer is a buffer whose message is being sent by an entry of the ring.
type lentBuffer struct {
	to    *peer
	entry uint32
	id    uint16
}

const (
	ringPause       = time.Second // before we ask for a ring again
	promoteAfter    = 16          // small messages in a row, after which a session is promoted
	fastBuffer      = 4 << 10     // what is larger is not small
	fastBuffers     = 1 << 8      // a power of two
	fastEntries     = 1 << 10     // submissions at a time
	fastCompletions = 1 << 13     // completions that wait to be taken
	watchTag        = 1 << 63     // of the poll of the epoll descriptor
	cancelTag       = 1 << 61     // of a cancel
	sendTag         = 1 << 62     // beside that of the side that is sent to
)

// tag names a side of this very session in completions.
func (p *session) tag(k int) uint64 {
	return uint64(p.slot)<<33 | uint64(k)<<32 | uint64(uint32(p.generation))
}

// open makes the ring. It reports whether there is one.
func (f *fastPath) open() bool {
	if f.ring != nil || f.loop.now < f.retry {
		return f.ring != nil
	}
	f.retry = f.loop.now + ringPause
	ring, err := poll.NewRing(fastEntries, fastCompletions)
	if err != nil {
		return false
	}
	buffers, err := poll.NewBuffers(ring, fastBuffers, fastBuffer)
	if err == nil {
		if err = ring.Enable(); err != nil {
			buffers.Close()
		}
	}
	if err != nil {
		ring.Close()
		return false
	}
	f.ring, f.buffers = ring, buffers
	return true
}

func (f *fastPath) close() {
	if f.ring != nil {
		f.ring.Close()
		f.buffers.Close()
	}
}

// promote takes a session from epoll if it can.
func (f *fastPath) promote(p *session) {
	p.smallInRow = 0
	if !p.plain() || !f.open() {
		return
	}
	for k := range p.peers {
		if f.loop.poller.Remove(p.peers[k].fd) != nil {
			p.close(goneFrom(link.Direction(k)), true) // it was registered: this does not happen
			return
		}
	}
	p.fast = true
	f.sessions++
	p.relay.onFast++
	p.relay.promotions.Add(1)
	for k := range p.peers {
		p.peers[k].ringState = ringState{}
		f.receive(p, k)
	}
}

// plain reports whether all that a session has to do is to pass on what comes.
func (p *session) plain() bool {
	if p.state != sessionPassing || len(p.attachments) > 0 {
		return false
	}
	for k := range p.peers {
		f, s := &p.directions[k], &p.peers[k]
		if f.verb != toxic.ConnPass || f.ended || f.over || f.queued ||
			f.pipe != nil || !f.backlog.empty() || s.hungUp || s.broken || !s.writable {
			return false
		}
	}
	return true
}

// receive makes the kernel receive for a side until it is told to end.
func (f *fastPath) receive(p *session, k int) {
	e := f.next()
	e.Opcode, e.Flags, e.Ioprio = poll.OpRecv, poll.BufferSelect, poll.RecvMultishot|poll.RecvPollFirst
	e.Fd, e.UserData = int32(p.peers[k].fd), p.tag(k)
	p.peers[k].receiving = true
}

// demote makes a session go back to epoll as soon as it has all that its receives
// have brought.
func (f *fastPath) demote(p *session) {
	if p.leaving {
		return
	}
	p.leaving = true
	f.leaving = append(f.leaving, p)
}

// cancel ends the receives of sessions that leave. Those that have none any more are
// back with epoll.
func (f *fastPath) cancel() {
	if len(f.leaving) > 0 {
		_, _ = f.enter(0, true) // what is to be sent is, before anything else is; an error shows in the next wait
	}
	for n := 0; n < len(f.leaving); {
		p, receiving := f.leaving[n], false
		for k := range p.peers {
			s := &p.peers[k]
			receiving = receiving || s.receiving || s.sends
			if s.receiving && !s.cancelled {
				s.cancelled = true
				e := f.next()
				e.Opcode, e.Flags, e.Addr, e.UserData = poll.OpAsyncCancel, poll.SkipSuccess, p.tag(k), cancelTag
			}
		}
		if receiving {
			n++
			continue
		}
		last := len(f.leaving) - 1
		f.leaving[n], f.leaving[last] = f.leaving[last], nil
		f.leaving = f.leaving[:last]
		f.demoted(p)
	}
}

// demoted gives a session back to epoll.
func (f *fastPath) demoted(p *session) {
	p.fast, p.leaving = false, false
	f.sessions--
	p.relay.onFast--
	for k := range p.peers {
		if f.loop.poller.Add(p.peers[k].fd, p.slot<<1|int32(k), p.generation) != nil {
			p.close(goneFrom(link.Direction(k)), true) // the kernel's bound on watched descriptors
			return
		}
		p.peers[k].readable = true // look
	}
	p.pumpBoth()
}

// empty makes all of a relay leave, now: when it returns they are with epoll.
func (f *fastPath) empty(r *Relay) {
	if r.onFast == 0 {
		return
	}
	for _, p := range f.loop.sessions {
		if p.fast && p.relay == r {
			f.demote(p)
		}
	}
	f.emptying = true
	for f.cancel(); r.onFast > 0; f.cancel() {
		if _, err := f.enter(time.Millisecond, true); err != nil {
			break // the ring is broken: what it holds is lost with it
		}
		f.deliver()
	}
	f.emptying = false
}

// wait is Poller.Wait for when there are sessions on the fast path. What has come to
// these is dealt with by deliver.
func (f *fastPath) wait(timeout time.Duration) ([]unix.EpollEvent, error) {
	if !f.watched {
		e := f.next()
		e.Opcode, e.Fd, e.Len, e.OpFlags, e.UserData = poll.OpPollAdd, int32(f.loop.poller.Fd()), poll.PollMultishot, unix.POLLIN, watchTag
		f.watched, f.news = true, true // what there was before
	}
	if f.news || f.at < len(f.done) || f.ring.Completed() {
		timeout = 0
	}
	wait, keep := f.Next(timeout)
	nothing, err := f.enter(wait, keep)
	if err != nil {
		return nil, err
	}
	f.Was(timeout, wait, nothing)
	if !f.news {
		return nil, nil
	}
	events, _, err := f.loop.poller.Wait(0)
	f.news = len(events) > 0 // until there are none
	return events, err
}

// next is an entry to fill in.
func (f *fastPath) next() *poll.SQE {
	for f.ring.Full() {
		// It hears of what could not be sent.
		if _, err := f.enter(0, true); err != nil {
			return &poll.SQE{} // discarded: the ring is broken, as the next wait says
		}
	}
	return f.ring.Next()
}

// enter hands over what is to be done, waits if timeout is not 0, and takes what
// has been done. It reports whether nothing was in all that time.
func (f *fastPath) enter(timeout time.Duration, keep bool) (nothing bool, err error) {
	if f.at == len(f.done) {
		f.done, f.at = f.done[:0], 0
	}
	errno := f.ring.Enter(timeout, timeout != 0, keep)
	switch errno {
	case 0, unix.EINTR, unix.ETIME, unix.EAGAIN, unix.EBUSY: // the last two: take completions first
	default:
		return false, os.NewSyscallError("io_uring_enter", errno)
	}
	from := len(f.done)
	f.done = f.ring.Take(f.done)
	for _, d := range f.done[from:] {
		if d.UserData&(watchTag|sendTag) == sendTag {
			tag := d.UserData &^ sendTag
			f.unsent(f.loop.sessions[tag>>33], int(tag>>32&1), d.Res)
		}
	}
	f.takeBack()
	return errno == unix.ETIME, nil
}

// takeBack gives the kernel the buffers again whose messages it has taken.
func (f *fastPath) takeBack() {
	kept := f.lent[:0]
	for _, l := range f.lent {
		if f.ring.HandedOver(l.entry) { // asked soon: the numbers of entries come round
			l.to.sends = false
			f.buffers.Give(l.id)
		} else {
			kept = append(kept, l)
		}
	}
	f.lent = kept
}

// deliver deals with what has come. What it calls may call it: then that goes on
// where this is.
func (f *fastPath) deliver() {
	for f.at < len(f.done) {
		if !f.emptying {
			f.loop.takeOrders()
		}
		if f.at == len(f.done) {
			return
		}
		d := f.done[f.at]
		f.at++
		switch {
		case d.UserData == watchTag:
			f.news, f.watched = true, d.Flags&poll.More != 0
		case d.UserData&(cancelTag|sendTag) != 0: // of a cancel that came too late; of a send, see enter
		default:
			f.received(f.loop.sessions[d.UserData>>33], int(d.UserData>>32&1), d)
		}
	}
}

// received passes on what has come to a side.
func (f *fastPath) received(p *session, k int, d poll.Completion) {
	s := &p.peers[k]
	if d.Flags&poll.HasBuffer != 0 {
		id := uint16(d.Flags >> poll.BufferShift)
		if d.Res > 0 {
			p.relay.Got(link.Direction(k), int(d.Res))
			f.pass(p, link.Direction(k), id, int(d.Res))
		} else {
			f.buffers.Give(id)
		}
	}
	switch {
	case d.Res > 0, d.Res == -int32(unix.ENOBUFS), d.Res == -int32(unix.ECANCELED):
	case d.Res < 0:
		s.broken = true // this was the socket's error: no event tells of it again
		f.demote(p)
	default:
		f.demote(p)
	}
	if d.Flags&poll.More == 0 {
		s.receiving = false
		if !p.leaving {
			f.receive(p, k)
		}
	}
}

// pass passes on a message of n bytes that is in a buffer.
func (f *fastPath) pass(p *session, dir link.Direction, id uint16, n int) {
	d, to, b := &p.directions[dir], &p.peers[1-dir], f.buffers.Bytes(id, n)
	if d.full++; n < fastBuffer {
		d.full = 0
	}
	if d.full >= bulkAfter {
		d.full = 0
		f.demote(p)
	}
	if to.sends {
		_, _ = f.enter(0, true) // two under way could overtake each other; an error shows in the next wait
	}
	if !d.backlog.empty() || to.sends {
		d.backlog.push(piece{at: f.loop.now}, b)
		f.demote(p)
		f.buffers.Give(id)
		return
	}
	// It is sent at once or not at all, and told of only if it was not whole.
	e := f.next()
	e.Opcode, e.Flags, e.Fd, e.UserData = poll.OpSend, poll.SkipSuccess, int32(to.fd), p.tag(int(1-dir))|sendTag
	e.OpFlags = unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT | unix.MSG_WAITALL
	e.Holds(b)
	to.message, to.sends = b, true
	f.lent = append(f.lent, lentBuffer{to, f.ring.Last(), id})
	p.count(dir, n)
}

// unsent keeps what could not be sent to a side.
func (f *fastPath) unsent(p *session, k int, res int32) {
	s, dir := &p.peers[k], link.Direction(1-k)
	rest := s.message[max(0, res):]
	p.directions[dir].bytes -= uint64(len(rest))
	p.relay.Passed(dir, -len(rest))
	f.demote(p)
	if res < 0 && res != -int32(unix.EAGAIN) && res != -int32(unix.EINTR) {
		s.broken = true // this was the socket's error: no event tells of it again
		return
	}
	s.writable = false
	p.directions[dir].backlog.push(piece{at: f.loop.now}, rest)
}
