package load

import (
	"errors"
	"fmt"

	"github.com/stormctl/stormctl/load/wire"
)

// errUpgrade is a 101 that the request has not asked for by an Upgrade header.
var errUpgrade = fmt.Errorf("%w: 101 switches to a protocol that was not asked for", wire.ErrMalformed)

// http1 is where an HTTP/1.1 connection stands in the response it reads. The
// zero value is between two.
type http1 struct {
	unparsed []byte // beginning of a response head that is not complete
	inBody   bool   // the head is there; what follows is about that response
	closes   bool   // the connection ends with this response
	status   int
	body     wire.Body
}

// http1Codec is that of HTTP/1.1: requests are answered in their order, at most
// depth of them under way.
type http1Codec struct{ depth int }

func (d http1Codec) concurrency() int { return d.depth }

func (d http1Codec) open(_ *loop, c *conn) {
	c.http1 = http1{unparsed: c.http1.unparsed[:0]}
}

func (d http1Codec) room(c *conn) int { return d.depth - len(c.inFlight) }

func (d http1Codec) send(l *loop, e *exchange) bool {
	if e.extracted == nil {
		l.out = e.prepared.template.Append(l.out[:0], e.seq())
	} else {
		l.out = e.prepared.template.AppendExtracted(l.out[:0], e.seq(), e.extracted)
	}
	return l.write(e.conn, l.out)
}

func (d http1Codec) received(l *loop, c *conn, p []byte, more bool) {
	for h := &c.http1; len(c.inFlight) > 0; {
		e := c.inFlight[0]
		complete, rest, err := h.parse(&l.head, p, e.prepared.template, &e.check)
		e.received += int64(len(p) - rest)
		if err != nil {
			l.lose(c, unreadable(err))
			return
		}
		if !complete {
			l.partial = true
			return
		}
		p = p[len(p)-rest:]
		last := len(c.inFlight) == 1
		if h.closes || last && (rest > 0 || more || c.writing()) {
			c.retired = true // what follows is no answer to anything we asked, or we have not asked to the end
		}
		closes, generation := h.closes, c.generation
		l.answered(e, h.status)
		switch {
		case c.generation != generation:
			return
		case closes:
			l.broken(c)
			return
		case rest == 0:
			return
		}
	}
	l.drop(c) // bytes that are no answer to a request
}

// unreadable is the outcome of what a reader of package wire refuses.
func unreadable(err error) Outcome {
	if errors.Is(err, wire.ErrTooLarge) {
		return TooLarge
	}
	return Malformed
}

func (d http1Codec) ended(l *loop, c *conn) {
	c.retired = true
	if len(c.inFlight) > 0 && c.http1.endsWell() {
		l.noTimestamp(true)
		generation := c.generation
		l.answered(c.inFlight[0], c.http1.status)
		if c.generation != generation {
			return
		}
	}
	l.broken(c)
}

// cancel closes the connection: nothing else calls a request back.
func (d http1Codec) cancel(l *loop, e *exchange) {
	c := e.conn
	l.finish(e, TimedOut, 0, l.clock.now())
	l.broken(c)
}

// parse goes on with the response by bytes that came behind those it has seen.
// head is scratch space; the response is shown to check. It returns whether the
// response is complete, and how many bytes came behind it.
func (h *http1) parse(head *wire.Response, p []byte, request *wire.Template, check *responseCheck) (complete bool, rest int, err error) {
	if len(h.unparsed) > 0 {
		h.unparsed = append(h.unparsed, p...)
		p = h.unparsed
	}
	for !h.inBody {
		n, err := head.Parse(p, request.IsHEAD())
		if err != nil {
			return false, 0, err
		}
		if n == 0 {
			h.unparsed = append(h.unparsed[:0], p...) // p may be its own tail
			return false, 0, nil
		}
		p = p[n:]
		if head.Interim() {
			continue
		}
		if head.Upgrade && !request.AsksUpgrade() {
			return false, 0, errUpgrade
		}
		h.inBody = true
		check.head(head.Status, head.Fields)
		h.status, h.closes, h.body = head.Status, head.Close || head.Upgrade, head.Body
	}
	h.unparsed = h.unparsed[:0]
	n, complete, err := h.follow(p, check)
	if complete {
		h.inBody = false
	}
	return complete, len(p) - n, err
}

// follow is wire.Body.Next, and gives the payload to a check that wants it.
func (h *http1) follow(p []byte, check *responseCheck) (n int, done bool, err error) {
	for n < len(p) && !h.body.Done() && check.wantsBody() {
		span, payload, err := h.body.Span(p[n:])
		if payload {
			check.payload(p[n : n+span])
		}
		n += span
		if err != nil {
			return n, false, err
		}
	}
	rest, done, err := h.body.Next(p[n:])
	return n + rest, done, err
}

// endsWell reports whether the peer may close here, as it does to end a response
// that has no length.
func (h *http1) endsWell() bool { return h.inBody && h.body.EOF() == nil }
