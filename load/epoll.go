//go:build linux

package load

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/load/poll"
)

// epoll is the transport that reads and writes when the kernel says that it
// can be done.
type epoll struct {
	loop   *loop
	poller *poll.Poller
	to     [][]address // by pool.index, and in the order of pool.addresses
	events []unix.EpollEvent
	unread []token // connections with more to read than a turn allows
	redial []token // connections to unix sockets whose backlog is full
	in     []byte  // what was read last

	rxTimestamp *rxTimestamp // nil where what came is read as it comes
	coalesced   bool         // the last wait left alone what came
}

const readBatch = 16 // how many reads of readSize one connection gets in a turn

// backlogPause is how long a dial waits for room in the backlog of a unix
// socket: where TCP would try again by itself, connect(2) says EAGAIN.
const backlogPause = time.Millisecond

func newEpoll(l *loop) (transport, error) {
	t := &epoll{loop: l, in: make([]byte, readSize)}
	for i := range l.pools {
		var all []address
		for _, e := range l.pools[i].addresses {
			a, err := addressOf(e)
			if err != nil {
				return nil, err
			}
			all = append(all, a)
		}
		t.to = append(t.to, all)
	}
	if l.coalesce {
		t.rxTimestamp = newRxTimestamp()
	}
	var err error
	t.poller, err = poll.New()
	return t, err
}

func (t *epoll) stop() { t.poller.Close() }

func (t *epoll) wake() { t.poller.Wake() }

func (t *epoll) dial(c *conn) {
	c.fd, c.unwritten = -1, c.unwritten[:0]
	to := t.to[c.pool.index][c.pool.turn()]
	fd, errno := to.connect()
	switch {
	case errno == unix.EAGAIN && to.family == unix.AF_UNIX:
		t.redial = append(t.redial, token{c, c.generation})
		return
	case errno != 0 && errno != unix.EINPROGRESS:
		t.loop.dialFailed(c, errno)
		return
	}
	c.fd = fd
	if t.rxTimestamp != nil {
		t.rxTimestamp.enable(fd)
	}
	if err := t.poller.Add(fd, c.slot, c.generation); err != nil {
		t.loop.dialFailed(c, err) // the kernel's bound on watched descriptors
		return
	}
	if errno == 0 {
		t.loop.opened(c)
	}
}

func (t *epoll) adopt(c *conn, from net.Conn) error {
	c.unwritten = c.unwritten[:0]
	var err error
	if c.fd, err = takeDescriptor(from); err != nil {
		return err
	}
	if t.rxTimestamp != nil {
		t.rxTimestamp.enable(c.fd)
	}
	return t.poller.Add(c.fd, c.slot, c.generation)
}

// dialAgain dials the connections that there was no room for.
func (t *epoll) dialAgain() {
	again := t.redial
	t.redial = nil
	for _, next := range again {
		if next.conn.generation == next.generation && next.conn.state == dialling {
			t.dial(next.conn)
		}
	}
}

func (t *epoll) close(c *conn) {
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
}

func (t *epoll) send(c *conn, p []byte) bool {
	if len(c.unwritten) > 0 {
		c.unwritten = append(c.unwritten, p...)
		return true
	}
	n, errno := poll.Send(c.fd, p)
	if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		return false
	}
	if n < len(p) {
		c.unwritten = append(c.unwritten, p[n:]...)
		t.flush(c)
	}
	return true
}

// flush writes on until the kernel takes no more; an event follows when it does.
func (t *epoll) flush(c *conn) {
	for len(c.unwritten) > 0 {
		n, errno := poll.Send(c.fd, c.unwritten)
		switch errno {
		case 0:
			c.unwritten = c.unwritten[:copy(c.unwritten, c.unwritten[n:])]
		case unix.EINTR:
		case unix.EAGAIN:
			return
		default:
			// The peer may have answered before it stopped to read: look first,
			// in the next turn.
			c.peerDone = true
			t.unread = append(t.unread, token{c, c.generation})
			return
		}
	}
}

func (t *epoll) wait(timeout time.Duration) (elapsed bool, err error) {
	if len(t.unread) == 0 && len(t.redial) == 0 && t.rxTimestamp != nil && t.loop.canCoalesce(timeout) {
		elapsed = poll.Sleep(timeout)
		t.coalesced = true
		t.events, _, err = t.poller.Wait(0)
		return elapsed, err
	}
	t.coalesced = false
	if len(t.unread) > 0 {
		timeout = 0
	}
	if len(t.redial) > 0 {
		timeout = min(timeout, backlogPause)
	}
	t.events, elapsed, err = t.poller.Wait(timeout)
	return elapsed, err
}

func (t *epoll) deliver() {
	t.handle(t.events)
	t.events = nil
	t.dialAgain()
}

// handle works off what the poller found.
func (t *epoll) handle(events []unix.EpollEvent) {
	// First the connections that nothing is under way on: those that the peer
	// has closed must be out of use before a request is written to one of them
	// in the same turn.
	for i := range events {
		e := &events[i]
		c := t.connOf(e)
		if c == nil || c.state != open {
			continue
		}
		if e.Events&poll.HungUp != 0 {
			c.peerDone = true
			c.pool.withdraw(c)
		}
		if len(c.inFlight) > 0 {
			continue
		}
		// None at all is an event about bytes that were read already.
		if e.Events&(poll.Readable|poll.HungUp) != 0 {
			t.read(c)
			e.Fd = poll.WakeSlot
		}
	}
	for i := range events {
		if c := t.connOf(&events[i]); c != nil {
			t.ready(c, events[i].Events)
		}
		// A batch can take milliseconds: arrivals do not wait for its end, unless
		// it holds the connections that they would go out on.
		if !t.coalesced {
			t.loop.sendDue()
		}
	}
	t.readOn()
}

// connOf returns the connection an event is about, nil if that is gone.
func (t *epoll) connOf(e *unix.EpollEvent) *conn {
	if e.Fd == poll.WakeSlot {
		return nil
	}
	if c := t.loop.conns[e.Fd]; c.generation == e.Pad && c.state != unused {
		return c
	}
	return nil
}

func (t *epoll) ready(c *conn, events uint32) {
	c.peerDone = c.peerDone || events&poll.HungUp != 0
	generation := c.generation
	if c.state == dialling {
		if errno := poll.ConnectError(c.fd); errno != 0 {
			t.loop.dialFailed(c, errno)
			return
		}
		t.loop.opened(c)
	} else if events&poll.Writable != 0 && len(c.unwritten) > 0 {
		t.flush(c)
	}
	if c.generation == generation && events&(poll.Readable|poll.HungUp) != 0 {
		t.read(c)
	}
}

// read takes what the peer has sent.
func (t *epoll) read(c *conn) {
	t.readSome(c)
	t.loop.setRxTime(0)
}

func (t *epoll) readSome(c *conn) {
	generation := c.generation
	for range readBatch {
		n, errno := t.receive(c.fd)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			t.loop.broken(c)
			return
		case n == 0:
			t.loop.ended(c)
			return
		}
		// Edge triggered: if the buffer was filled there may be more, and no
		// event would tell.
		more := n == len(t.in) && poll.ReadyToRead(c.fd)
		t.loop.received(c, t.in[:n], more)
		if c.generation != generation || !more && !c.peerDone {
			return // gone, or all there is for now
		}
	}
	// A body without end must not keep the loop from everything else.
	t.unread = append(t.unread, token{c, generation})
}

// receive reads into t.in, and tells the loop when that came if it knows.
func (t *epoll) receive(fd int) (n int, errno unix.Errno) {
	if t.rxTimestamp == nil {
		return poll.Receive(fd, t.in)
	}
	n, stamp, errno := t.rxTimestamp.receive(fd, t.in)
	if n > 0 { // the end came with the bytes before it, if there were any just now
		t.loop.setRxTime(stamp)
	}
	return n, errno
}

// readOn goes on with what the last turn left, as no event would tell of what
// is there already.
func (t *epoll) readOn() {
	for n := len(t.unread); n > 0; n-- {
		next := t.unread[0]
		t.unread = t.unread[:copy(t.unread, t.unread[1:])]
		if next.conn.generation == next.generation && next.conn.state == open {
			t.read(next.conn)
		}
	}
}
