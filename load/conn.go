//go:build linux

package load

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/load/wire"
)

// conn is one connection of one loop, or an empty place for one: its memory
// is used again.
//
//	        dial        open          answered
//	unused ─────▶ dialling ─────▶ busy ◀─────▶ idle
//	   ▲             │             │   request   │
//	   └─────────────┴─── close ───┴─────────────┘
type conn struct {
	links       // idle: in its pool's idle list; dialling and busy: in the line of its route's timeout
	slot        int32
	generation  int32 // counts the connections that had this place
	fd          int
	state       connState
	peerDone    bool // the peer sends nothing after what it has sent: read to the end, then close
	pool        *pool
	arrival     arrival       // what it works on when dialling or busy
	sent        time.Duration // when the dial began; once busy, when the request's first byte was given to the kernel
	deadline    time.Duration
	unwritten   []byte // end of a request that the kernel has not taken yet
	unparsed    []byte // beginning of a response head that is not complete
	inBody      bool   // the head is there; what follows is about that response
	status      int
	closesAfter bool // the response says that the connection ends with it
	body        wire.Body
}

type connState uint8

const (
	unused connState = iota
	dialling
	busy
	idle
)

// take makes a connection ready for the response to a request that is sent now.
func (c *conn) take(now time.Duration) {
	c.sent, c.state = now, busy
	c.unwritten, c.unparsed = c.unwritten[:0], c.unparsed[:0]
	c.inBody = false
}

// parse goes on with the response by bytes that came behind those it has seen.
// head is scratch space. It returns whether the response is complete, and how
// many bytes came behind it.
func (c *conn) parse(head *wire.Response, p []byte, toHEAD bool) (complete bool, rest int, err error) {
	if len(c.unparsed) > 0 {
		c.unparsed = append(c.unparsed, p...)
		p = c.unparsed
	}
	for !c.inBody {
		n, err := head.Parse(p, toHEAD)
		if err != nil {
			return false, 0, err
		}
		if n == 0 {
			c.unparsed = append(c.unparsed[:0], p...) // p may be its own tail
			return false, 0, nil
		}
		p = p[n:]
		if head.Interim() {
			continue
		}
		c.inBody = true
		c.status, c.closesAfter, c.body = head.Status, head.Close || head.Upgrade, head.Body
	}
	c.unparsed = c.unparsed[:0]
	n, complete, err := c.body.Next(p)
	return complete, len(p) - n, err
}

// endsWell tells whether the peer may close here, as it does to end a response
// that has no length.
func (c *conn) endsWell() bool { return c.inBody && c.body.EOF() == nil }

// drained tells whether there is nothing left to read for now.
func (c *conn) drained() bool {
	var one [1]byte
	_, errno := receive(c.fd, one[:])
	return errno == unix.EAGAIN
}

// links makes a conn a member of at most one list.
type links struct {
	prev, next *conn
	in         *list
}

// list is a sequence of connections, linked through themselves: to put one in
// or take one out costs no memory and no search.
type list struct {
	first, last *conn
}

func (l *list) push(c *conn) {
	c.in, c.prev, c.next = l, l.last, nil
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
}

// leave takes the connection out of the list it is in, if any.
func (c *conn) leave() {
	l := c.in
	if l == nil {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.links = links{}
}

// pool is one loop's connections to one address. While arrivals are queued, no
// connection is idle.
type pool struct {
	family int
	to     unix.Sockaddr
	limit  int
	open   int   // dialling, busy and idle
	idle   list  // the last one used is taken first, so that those not needed stay unused
	queue  queue // arrivals for which none was free
}

// line holds the connections whose requests have the same timeout, in the
// order of their deadlines: a request joins at the end, so no timer is needed.
type line struct {
	timeout time.Duration
	list
}
