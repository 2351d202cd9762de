package load

import (
	"cmp"
	"encoding/binary"

	"github.com/stormctl/stormctl/load/wire"
)

// http2 is where an HTTP/2 connection stands.
type http2 struct {
	frames     wire.FrameReader
	blocks     *wire.BlockReader
	peer       wire.Settings
	settled    bool   // the peer has said what its settings are
	tableless  bool   // and knows that we use no header table, if its is small
	inserted   bool   // and has in its header table what our requests have in common
	next       uint32 // id of the stream that the next exchange takes
	window     int64  // bytes of bodies that the peer takes
	consumed   int    // bytes of bodies since the peer was last allowed more
	waiting    int    // exchanges whose body waits for a window
	cancelled  bool   // we have reset a stream: more of it may come
	unanswered int    // frames that we had to answer since the peer last sent a header block
}

// stream is where an exchange stands on an HTTP/2 connection.
type stream struct {
	id       uint32
	window   int64   // bytes of the request's body that the peer takes
	consumed int     // bytes of the response's body since the peer was last allowed more
	size     int     // of the request's body
	sent     int     // bytes of it
	body     int     // bytes of the response's body
	length   int64   // that it must have; -1 if that is not known
	prefix   [5]byte // of a gRPC response: the head of its message
	status   int     // of the response; 0 before its head is there
}

const (
	// What responses may be ahead of us. Their bodies are taken as they come, so
	// the windows are large, and opened again when half of them is taken.
	// A peer that goes past one does no harm, so that is not checked.
	streamWindow = 1 << 20
	connWindow   = 1 << 30

	// Before a peer has said how many streams it takes, and none has said so that
	// was there before, it is taken to take this many: the least that RFC 9113
	// recommends, and what Go's client does.
	assumedStreams = 100

	// flushAt is how much is pending at most on a connection before it is sent
	// within the turn.
	flushAt = 64 << 10

	// maxUnanswered bounds what a peer makes us answer without answering itself.
	maxUnanswered = 10_000
)

// http2Codec is that of HTTP/2, and of gRPC on top of it: at most limit
// exchanges share a connection, each on a stream of its own. What a turn has to
// send on a connection is collected and sent at its end.
//
// A request that is cancelled or whose response is malformed ends its stream
// alone. A peer that breaks the rules of the connection (RFC 9113 section 5.4.1)
// loses all that is under way.
type http2Codec struct{ limit int }

func (d http2Codec) concurrency() int { return d.limit }

func (d http2Codec) open(l *loop, c *conn) {
	if c.http2 == nil {
		c.http2 = &http2{}
	}
	h := c.http2
	h.frames.Reset()
	*h = http2{
		frames: h.frames, blocks: wire.NewBlockReader(), peer: wire.DefaultSettings(),
		next: 1, window: wire.DefaultWindow,
	}
	c.sendsControl = true
	c.pending = wire.AppendPreface(c.pending[:0], streamWindow, connWindow)
	l.later(c)
}

func (d http2Codec) room(c *conn) int {
	h := c.http2
	if h.next > wire.MaxStream {
		return 0
	}
	most := min(d.limit, h.peer.MaxStreams)
	if !h.settled {
		most = min(d.limit, cmp.Or(c.pool.maxStreams, assumedStreams))
	}
	return most - len(c.inFlight)
}

func (d http2Codec) send(l *loop, e *exchange) bool {
	c := e.conn
	h, request := c.http2, e.prepared.streamTemplate
	seq := e.seq()
	e.stream = stream{id: h.next, length: -1, window: h.peer.Window, size: request.BodyLen(seq, e.extracted)}
	if h.next += 2; h.next > wire.MaxStream {
		l.retire(c)
	}
	if h.peer.SmallTable && !h.tableless {
		h.tableless = true
		c.pending = request.AppendTablelessHead(c.pending, e.stream.id, seq, e.extracted)
	} else {
		c.pending = request.AppendHead(c.pending, h.form(request), e.stream.id, seq, e.extracted)
	}
	if e.stream.size > 0 {
		h.waiting++
		d.sendBody(e)
	}
	l.later(c)
	return len(c.pending) < flushAt || l.writePending(c)
}

// form is how the next request's fields are written. Before the peer has said how large
// its header table is, nothing is put there.
func (h *http2) form(request *wire.StreamTemplate) wire.Form {
	switch {
	case !h.settled || h.tableless || !request.Shares():
		return wire.Unindexed
	case h.inserted:
		return wire.Indexed
	}
	h.inserted = true
	return wire.Inserted
}

// sendBody adds what the windows allow of the body to what is pending.
func (d http2Codec) sendBody(e *exchange) {
	c, s, request := e.conn, &e.stream, e.prepared.streamTemplate
	for s.sent < s.size {
		n := int(min(int64(s.size-s.sent), c.http2.window, s.window, wire.MaxFrame))
		if n <= 0 {
			return
		}
		c.pending = request.AppendData(c.pending, s.id, e.seq(), e.extracted, s.sent, n)
		s.sent += n
		s.window -= int64(n)
		c.http2.window -= int64(n)
	}
	c.http2.waiting--
}

// sendBodies goes on with the bodies that wait for a window, oldest first.
func (d http2Codec) sendBodies(l *loop, c *conn) {
	for i := 0; i < len(c.inFlight) && c.http2.waiting > 0 && c.http2.window > 0; i++ {
		if e := c.inFlight[i]; d.bodyPending(e) {
			d.sendBody(e)
			l.later(c)
		}
	}
}

// bodyPending reports whether some of the body is not sent.
func (d http2Codec) bodyPending(e *exchange) bool {
	return e.stream.sent < e.stream.size
}

func (d http2Codec) ended(l *loop, c *conn) { l.broken(c) }

func (d http2Codec) cancel(l *loop, e *exchange) { d.give(l, e, wire.CodeCancel, TimedOut) }

// fail ends an exchange whose response is malformed, and not the connection.
func (d http2Codec) fail(l *loop, e *exchange) { d.give(l, e, wire.CodeProtocol, Malformed) }

// give ends an exchange before its response is complete, and not the connection.
func (d http2Codec) give(l *loop, e *exchange, code uint32, how Outcome) {
	c := e.conn
	d.reset(l, e, code)
	l.finish(e, how, 0, l.clock.now())
	l.release(c)
}

// reset ends a stream before its end.
func (d http2Codec) reset(l *loop, e *exchange, code uint32) {
	c := e.conn
	d.dropBody(e)
	c.http2.cancelled = true
	c.pending = wire.AppendReset(c.pending, e.stream.id, code)
	l.later(c)
}

// dropBody gives up the body that was not sent.
func (d http2Codec) dropBody(e *exchange) {
	if d.bodyPending(e) {
		e.conn.http2.waiting--
	}
}

// complete ends an exchange by its response. A server may answer before it has
// all of the request, which it does not want then. grpcStatus is −1 if there is
// none.
func (d http2Codec) complete(l *loop, e *exchange, grpcStatus int) {
	status := e.stream.status
	if !e.stream.whole() {
		d.fail(l, e)
		return
	}
	if e.prepared.grpc {
		switch {
		case grpcStatus >= 0:
			status = wire.GRPCToHTTP(grpcStatus)
		case status < 400: // not a proxy's own answer: a call without an outcome
			d.fail(l, e)
			return
		}
		if grpcStatus == 0 && !e.stream.oneMessage() {
			d.fail(l, e)
			return
		}
		e.check.head(status, e.check.noted)
	}
	if d.bodyPending(e) {
		d.reset(l, e, wire.CodeCancel)
	}
	l.answered(e, status)
}

// body takes a piece of a response's body.
func (d http2Codec) body(e *exchange, p []byte) {
	s := &e.stream
	if e.prepared.grpc && s.body < len(s.prefix) {
		n := copy(s.prefix[s.body:], p)
		s.body += n
		p = p[n:]
	}
	s.body += len(p)
	if len(p) > 0 && e.check.wantsBody() {
		e.check.payload(p)
	}
}

// whole reports whether the body has the length that the head has said: one of
// another length is malformed (RFC 9113 section 8.1.1).
func (s *stream) whole() bool { return s.length < 0 || int64(s.body) == s.length }

// expects takes the head of a response: the length of its body, which is none
// for some whatever they say (RFC 9110 section 6.4.1).
func (s *stream) expects(block wire.Block, toHEAD bool) {
	s.status, s.length = block.Status, block.Length
	if toHEAD || s.status == 204 || s.status == 304 {
		s.length = 0
	}
}

// oneMessage reports whether the response's body is one gRPC message, as that of a
// unary call is.
func (s *stream) oneMessage() bool {
	return s.body >= len(s.prefix) && uint64(binary.BigEndian.Uint32(s.prefix[1:])) == uint64(s.body-len(s.prefix))
}
