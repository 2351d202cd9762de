package load

import (
	"cmp"
	"encoding/binary"

	"github.com/stormctl/stormctl/load/wire"
)

// http2 is where an HTTP/2 connection stands.
type http2 struct {
	frames    wire.FrameReader
	blocks    *wire.BlockReader
	peer      wire.Settings
	settled   bool   // the peer has said what its settings are
	next      uint32 // id of the stream that the next exchange takes
	window    int64  // bytes of bodies that the peer takes
	taken     int    // bytes of bodies since the peer was last allowed more
	waiting   int    // exchanges whose body waits for a window
	cancelled bool   // we have reset a stream: more of it may come
	chatter   int    // frames that we had to answer since the peer last sent a header block
}

// stream is where an exchange stands on an HTTP/2 connection.
type stream struct {
	id     uint32
	window int64   // bytes of the request's body that the peer takes
	taken  int     // bytes of the response's body since the peer was last allowed more
	size   int     // of the request's body
	sent   int     // bytes of it
	body   int     // bytes of the response's body
	prefix [5]byte // of a gRPC response: the head of its message
	status int     // of the response; 0 before its head is there
}

const (
	// What responses may be ahead of us. Their bodies are taken as they come, so
	// the windows are large, and opened again when half of them is taken.
	// A peer that goes past one does no harm, and is not found out.
	streamWindow = 1 << 20
	connWindow   = 1 << 30

	// Before a peer has said how many streams it takes, and none has said so that
	// was there before, it is taken to take this many: the least that RFC 9113
	// recommends, and what Go's client does.
	assumedStreams = 100

	// flushAt is how much a connection gathers at most before it is sent within
	// the turn.
	flushAt = 64 << 10

	// maxChatter bounds what a peer makes us answer without answering itself.
	maxChatter = 10_000
)

// speaksHTTP2 is the dialect of HTTP/2, and of gRPC on top of it: at most limit
// exchanges share a connection, each on a stream of its own. What a turn has to
// send on a connection is gathered and sent at its end.
//
// A request that is cancelled or whose response is malformed ends its stream
// alone. A peer that breaks the rules of the connection (RFC 9113 section 5.4.1)
// loses all that is under way.
type speaksHTTP2 struct{ limit int }

func (d speaksHTTP2) streams() int { return d.limit }

func (d speaksHTTP2) open(l *loop, c *conn) {
	if c.http2 == nil {
		c.http2 = &http2{}
	}
	h := c.http2
	h.frames.Reset()
	*h = http2{
		frames: h.frames, blocks: wire.NewBlockReader(), peer: wire.DefaultSettings(),
		next: 1, window: wire.DefaultWindow,
	}
	c.unasked = true
	c.pending = wire.AppendPreface(c.pending[:0], streamWindow, connWindow)
	l.later(c)
}

func (d speaksHTTP2) room(c *conn) int {
	h := c.http2
	if h.next > wire.MaxStream {
		return 0
	}
	most := min(d.limit, h.peer.MaxStreams)
	if !h.settled {
		most = min(d.limit, cmp.Or(c.pool.streams, assumedStreams))
	}
	return most - len(c.flying)
}

func (d speaksHTTP2) send(l *loop, e *exchange) bool {
	c := e.conn
	h, request := c.http2, e.way.streamed
	seq := e.seq()
	e.stream = stream{id: h.next, window: h.peer.Window, size: request.BodyLen(seq, e.given)}
	if h.next += 2; h.next > wire.MaxStream {
		l.retire(c)
	}
	c.pending = request.AppendHead(c.pending, e.stream.id, seq, e.given)
	if e.stream.size > 0 {
		h.waiting++
		d.sendBody(e)
	}
	l.later(c)
	return len(c.pending) < flushAt || l.writePending(c)
}

// sendBody adds what the windows allow of the body to what is pending.
func (d speaksHTTP2) sendBody(e *exchange) {
	c, s, request := e.conn, &e.stream, e.way.streamed
	for s.sent < s.size {
		n := int(min(int64(s.size-s.sent), c.http2.window, s.window, wire.MaxFrame))
		if n <= 0 {
			return
		}
		c.pending = request.AppendData(c.pending, s.id, e.seq(), e.given, s.sent, n)
		s.sent += n
		s.window -= int64(n)
		c.http2.window -= int64(n)
	}
	c.http2.waiting--
}

// sendBodies goes on with the bodies that wait for a window, oldest first.
func (d speaksHTTP2) sendBodies(l *loop, c *conn) {
	for i := 0; i < len(c.flying) && c.http2.waiting > 0 && c.http2.window > 0; i++ {
		if e := c.flying[i]; d.waits(e) {
			d.sendBody(e)
			l.later(c)
		}
	}
}

// waits tells whether some of the body is not sent.
func (d speaksHTTP2) waits(e *exchange) bool {
	return e.stream.sent < e.stream.size
}

func (d speaksHTTP2) ended(l *loop, c *conn) { l.broken(c) }

func (d speaksHTTP2) cancel(l *loop, e *exchange) {
	c := e.conn
	d.reset(l, e, wire.CodeCancel)
	l.finish(e, TimedOut, 0, l.clock.now())
	l.release(c)
}

// spoil ends an exchange whose response is malformed, and not the connection.
func (d speaksHTTP2) spoil(l *loop, e *exchange) {
	c := e.conn
	d.reset(l, e, wire.CodeProtocol)
	l.finish(e, Malformed, 0, l.clock.now())
	l.release(c)
}

// reset tells the peer that a stream is over before its end.
func (d speaksHTTP2) reset(l *loop, e *exchange, code uint32) {
	c := e.conn
	d.forget(e)
	c.http2.cancelled = true
	c.pending = wire.AppendReset(c.pending, e.stream.id, code)
	l.later(c)
}

// forget gives up the body that was not sent.
func (d speaksHTTP2) forget(e *exchange) {
	if d.waits(e) {
		e.conn.http2.waiting--
	}
}

// complete ends an exchange by its response. A server may answer before it has
// all of the request, which it does not want then. grpcStatus is −1 if there is
// none.
func (d speaksHTTP2) complete(l *loop, e *exchange, grpcStatus int) {
	status := e.stream.status
	if e.way.grpc {
		switch {
		case grpcStatus >= 0:
			status = wire.GRPCToHTTP(grpcStatus)
		case status < 400: // not the word of a proxy: a call without an outcome
			d.spoil(l, e)
			return
		}
		if grpcStatus == 0 && !e.stream.oneMessage() {
			d.spoil(l, e)
			return
		}
		e.review.head(status, e.review.noted)
	}
	if d.waits(e) {
		d.reset(l, e, wire.CodeCancel)
	}
	l.answered(e, status)
}

// body takes a piece of a response's body.
func (d speaksHTTP2) body(e *exchange, p []byte) {
	s := &e.stream
	if e.way.grpc && s.body < len(s.prefix) {
		n := copy(s.prefix[s.body:], p)
		s.body += n
		p = p[n:]
	}
	s.body += len(p)
	if len(p) > 0 && e.review.wantsBody() {
		e.review.payload(p)
	}
}

// oneMessage tells whether the response's body is one gRPC message, as that of a
// unary call is.
func (s *stream) oneMessage() bool {
	return s.body >= len(s.prefix) && uint64(binary.BigEndian.Uint32(s.prefix[1:])) == uint64(s.body-len(s.prefix))
}
