package load

import (
	"context"
	"time"
)

// conn is one connection of one loop, or free to become one: its memory is
// used again. While it is dialling, the arrival that dials is its first
// exchange.
//
//	        dial        opened
//	unused ─────▶ dialling ─────▶ open
//	   ▲             │             │
//	   └──────────── drop ─────────┘
type conn struct {
	slot         int32
	generation   int32 // counts the connections that had this slot
	readyAt      int32 // its place in pool.ready; -1 if it takes no exchange now
	state        connState
	retired      bool // no exchange may begin any more: it is closed when the last one ends
	peerDone     bool // the peer sends nothing after what it has sent: read to the end, then close
	pool         *pool
	inFlight     []*exchange // what it works on, oldest first
	exchanges    int         // exchanges so far
	opened       time.Duration
	codec        codec
	http1        http1
	tls          *tlsConn           // nil without TLS
	cancel       context.CancelFunc // of its handshake; nil without
	http2        *http2             // nil before the first time that this conn speaks it
	sendsControl bool               // the codec also sends what has no answer
	pending      []byte             // what is sent at the end of the turn
	dirty        bool               // it is in loop.dirty

	socket // belongs to the transport
}

type connState uint8

const (
	unused connState = iota
	dialling
	open
)

// pool is one loop's connections to one endpoint. While arrivals are queued,
// no connection is ready.
type pool struct {
	endpoint
	addresses  []endpoint // of it; connections lead to them in turn
	dialled    int        // how many have been begun
	index      int        // in loop.pools
	limit      int
	maxQueue   int
	open       int     // dialling and open
	dialling   int     // of these
	ready      []*conn // those that take another exchange
	queue      queue   // arrivals for which there was none
	maxStreams int     // of HTTP/2: how many a peer there has said last that it takes; 0 if none has
}

// turn is which of its addresses the next connection leads to.
func (p *pool) turn() int {
	n := p.dialled % len(p.addresses)
	p.dialled++
	return n
}

// pick returns a connection that takes another exchange, nil if there is none:
// the one that became ready last, so that those not needed stay unused.
func (p *pool) pick() *conn {
	if n := len(p.ready); n > 0 {
		return p.ready[n-1]
	}
	return nil
}

// offer makes c one that takes another exchange.
func (p *pool) offer(c *conn) {
	if c.readyAt < 0 {
		c.readyAt = int32(len(p.ready))
		p.ready = append(p.ready, c)
	}
}

// withdraw undoes offer, if it was done.
func (p *pool) withdraw(c *conn) {
	if c.readyAt < 0 {
		return
	}
	last := len(p.ready) - 1
	p.ready[c.readyAt] = p.ready[last]
	p.ready[c.readyAt].readyAt = c.readyAt
	p.ready = p.ready[:last]
	c.readyAt = -1
}

// awaited reports whether the connections being dialled will take n arrivals
// beside those that dial, so that there is no need to dial another.
func (p *pool) awaited(n int) bool { return p.dialling*(p.codec.concurrency()-1) >= n }
