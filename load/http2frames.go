package load

import "github.com/stormctl/stormctl/load/wire"

// received takes frames. What breaks the rules of the connection is Malformed,
// and what cannot be read for its size TooLarge, for all that is under way: where
// the next frame's fields begin in the peer's table is not known any more.
func (d http2Codec) received(l *loop, c *conn, p []byte, _ bool) {
	generation := c.generation
	for len(p) > 0 {
		n, ok, err := c.http2.frames.Next(p)
		if err == nil && !ok {
			return
		}
		switch {
		case err != nil:
			l.lose(c, unreadable(err))
			return
		case !d.take(l, c, &c.http2.frames.Frame):
			l.lose(c, Malformed)
			return
		}
		if c.generation != generation {
			return
		}
		p = p[n:]
	}
}

// take acts on one frame; false if the peer must not send it.
func (d http2Codec) take(l *loop, c *conn, f *wire.Frame) bool {
	h := c.http2
	if !h.settled && (f.Type != wire.FrameSettings || f.Ack) {
		return false // the server's settings come first: RFC 9113 section 3.4
	}
	switch f.Type {
	case wire.FrameData:
		return d.data(l, c, f)
	case wire.FrameHeaders:
		return d.headers(l, c, f)
	case wire.FrameReset:
		e := c.on(f.Stream)
		if e == nil {
			return h.began(f.Stream)
		}
		d.dropBody(e)
		if f.Number() == wire.CodeRefused && e.stream.status == 0 {
			d.refused(l, e)
			return true
		}
		l.finish(e, Reset, 0, l.clock.now())
		l.release(c)
	case wire.FrameSettings:
		return f.Ack || d.settings(l, c, f)
	case wire.FramePing:
		if !f.Ack {
			c.pending = wire.AppendPong(c.pending, f.Payload)
			return d.answers(l, c)
		}
	case wire.FrameGoAway:
		d.goAway(l, c, f.Number())
	case wire.FrameWindowUpdate:
		return d.windowUpdate(l, c, f)
	}
	return true
}

// on returns the exchange on a stream, nil if there is none.
func (c *conn) on(stream uint32) *exchange {
	for _, e := range c.inFlight { // one of the oldest, mostly
		if e.stream.id == stream {
			return e
		}
	}
	return nil
}

// began reports whether a stream was ours, and is over now.
func (h *http2) began(stream uint32) bool { return stream&1 == 1 && stream < h.next }

// answers counts what the peer has made us send, and reports whether that is
// within bounds.
func (d http2Codec) answers(l *loop, c *conn) bool {
	l.later(c)
	c.http2.unanswered++
	return c.http2.unanswered <= maxUnanswered
}

// data takes a piece of a response's body.
func (d http2Codec) data(l *loop, c *conn, f *wire.Frame) bool {
	h := c.http2
	if h.consumed += f.Flow; h.consumed >= connWindow/2 {
		c.pending = wire.AppendWindowUpdate(c.pending, 0, h.consumed)
		h.consumed = 0
		l.later(c)
	}
	e := c.on(f.Stream)
	if e == nil {
		return h.began(f.Stream) && h.cancelled
	}
	e.received += int64(f.Size)
	s := &e.stream
	s.consumed += f.Flow
	if s.status == 0 {
		d.fail(l, e)
		return true
	}
	d.body(e, f.Payload)
	switch {
	case s.length >= 0 && int64(s.body) > s.length:
		d.fail(l, e)
	case f.End:
		d.complete(l, e, -1)
	case s.consumed >= streamWindow/2:
		c.pending = wire.AppendWindowUpdate(c.pending, s.id, s.consumed)
		s.consumed = 0
		l.later(c)
	}
	return true
}

// headers takes a header block: interim responses, a response's head, and its
// trailers.
func (d http2Codec) headers(l *loop, c *conn, f *wire.Frame) bool {
	h := c.http2
	h.unanswered = 0
	e := c.on(f.Stream)
	block, err := h.blocks.Read(f.Payload, d.wants(e, f.End))
	if err != nil {
		return false
	}
	if e == nil {
		return h.began(f.Stream) && h.cancelled
	}
	e.received += int64(f.Size)
	if block.TooLarge {
		d.give(l, e, wire.CodeCancel, TooLarge)
		return true
	}
	interim := block.Status >= 100 && block.Status < 200
	switch trailers := e.stream.status != 0; {
	case block.Malformed,
		trailers && (block.Status != 0 || !f.End),
		!trailers && block.Status < 100,
		interim && (f.End || block.Status == 101): // nothing is upgraded here
		d.fail(l, e)
	case interim:
	default:
		if !trailers {
			e.stream.expects(block, e.prepared.streamTemplate.IsHEAD())
		}
		switch {
		case e.prepared.grpc:
			e.check.note(h.blocks.Fields()) // the status of the call is to come
		case !trailers:
			e.check.head(block.Status, h.blocks.Fields())
		}
		if f.End {
			d.complete(l, e, block.GRPCStatus)
		}
	}
	return true
}

// wants is what a header block is read for, for an exchange or for none.
func (d http2Codec) wants(e *exchange, end bool) (want wire.Want) {
	if e == nil {
		return 0
	}
	if e.prepared.grpc && end {
		want = wire.WantGRPCStatus
	}
	if e.check.wantsFields() && (e.prepared.grpc || e.stream.status == 0) {
		want |= wire.WantFields
	}
	return want
}

// settings takes the peer's settings. A change of the first window changes
// those of all streams by as much, even to below 0.
func (d http2Codec) settings(l *loop, c *conn, f *wire.Frame) bool {
	h := c.http2
	before := h.peer.Window
	if h.peer.Update(f.Payload) != nil {
		return false
	}
	h.settled, c.pool.maxStreams = true, h.peer.MaxStreams
	for _, e := range c.inFlight {
		if e.stream.window += h.peer.Window - before; e.stream.window > wire.MaxStream {
			return false
		}
	}
	c.pending = wire.AppendSettingsAck(c.pending)
	if !d.answers(l, c) {
		return false
	}
	d.sendBodies(l, c)
	if d.room(c) <= 0 {
		c.pool.withdraw(c)
		return true
	}
	l.release(c)
	return true
}

// windowUpdate sends what has waited for it.
func (d http2Codec) windowUpdate(l *loop, c *conn, f *wire.Frame) bool {
	h, n := c.http2, int64(f.Number())
	if f.Stream == 0 {
		if h.window += n; h.window > wire.MaxStream {
			return false
		}
		d.sendBodies(l, c)
		return true
	}
	e := c.on(f.Stream)
	if e == nil {
		return h.began(f.Stream)
	}
	if e.stream.window += n; e.stream.window > wire.MaxStream {
		return false
	}
	if d.bodyPending(e) {
		d.sendBody(e)
		l.later(c)
	}
	return true
}

// refused sends a request again that the peer has refused. The connection gets
// no other before one of those that it has taken is answered; one that takes
// nothing is closed.
func (d http2Codec) refused(l *loop, e *exchange) {
	c := e.conn
	l.resend(e, true)
	c.pool.withdraw(c)
	if len(c.inFlight) == 0 {
		l.retire(c)
		l.release(c)
	}
}

// goAway lets the connection end with what the peer still answers: streams up
// to last.
func (d http2Codec) goAway(l *loop, c *conn, last uint32) {
	l.retire(c)
	for n := len(c.inFlight); n > 0 && c.inFlight[n-1].stream.id > last; n-- {
		d.dropBody(c.inFlight[n-1])
		l.resend(c.inFlight[n-1], last == 0)
	}
	l.release(c)
}
