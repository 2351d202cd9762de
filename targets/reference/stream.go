package reference

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"
)

// stream is a request and its answer.
type stream struct {
	id       uint32
	kept     bool // in streams
	open     bool // its body is still arriving
	forsaken bool // reset while it waited: its effect counts, its answer is not sent

	ask       ask
	method    string
	target    string
	scheme    bool
	regular   bool // a field that is no pseudo-header has been seen
	malformed bool
	goOn      bool // expects 100-continue
	length    int  // of its body as announced; -1 is unknown
	arrived   int  // of its body
	received  int  // by which its window is smaller than at first

	reply  reply
	due    time.Time
	window int    // what we may send
	rest   []byte // of the answer's body
}

// field is called by the decoder for each field of a request.
func (c *h2c) field(f hpack.HeaderField) {
	s := &c.fresh
	if strings.HasPrefix(f.Name, ":") {
		s.pseudo(f)
		return
	}
	s.regular = true
	switch f.Name {
	case "traceparent":
		first(&s.ask.trace, f.Value)
	case "content-length":
		n, err := strconv.ParseUint(f.Value, 10, 62)
		if err != nil || s.length >= 0 && s.length != int(n) {
			s.malformed = true
		}
		s.length = int(n)
	case "expect":
		s.goOn = f.Value == "100-continue"
	case "te":
		s.malformed = s.malformed || f.Value != "trailers"
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		s.malformed = true // of HTTP/1.1: RFC 9113, section 8.2.2
	}
	if f.Name == c.dependency.idHeader {
		first(&s.ask.id, f.Value)
	}
	if f.Name == "" || strings.ContainsFunc(f.Name, func(r rune) bool { return r <= ' ' || r >= 0x7f || 'A' <= r && r <= 'Z' }) {
		s.malformed = true
	}
}

func (s *stream) pseudo(f hpack.HeaderField) {
	switch {
	case s.regular:
		s.malformed = true
	case f.Name == ":method" && s.method == "":
		s.method = f.Value
	case f.Name == ":path" && s.target == "":
		s.target = f.Value
	case f.Name == ":scheme" && !s.scheme:
		s.scheme = true
	case f.Name == ":authority":
	default:
		s.malformed = true
	}
}

// first keeps the first of several values.
func first(at *string, value string) {
	if *at == "" {
		*at = value
	}
}

// request begins the request whose header has been read.
func (c *h2c) request() error {
	s := &c.fresh
	var ok bool
	s.ask.path, s.ask.query, ok = locate(s.target)
	switch {
	case s.malformed || !ok || s.method == "" || !s.scheme:
		c.refuse(s, protocolError)
		return nil
	case len(c.streams)-c.forsaken >= maxStreams:
		c.refuse(s, refusedStream)
		return nil
	case c.forsaken >= maxForsaken:
		return connectionError{enhanceYourCalm, "too many requests were reset"}
	case c.blockEnd:
		c.work(s)
		return nil
	}
	s = c.keep(s)
	s.open = true
	if s.goOn {
		at := c.beginHeaders(s, 0)
		c.out = appendStatus(c.out, http.StatusContinue)
		c.endHeaders(at)
	}
	return nil
}

// keep remembers a request that cannot be answered at once.
func (c *h2c) keep(s *stream) *stream {
	if !s.kept {
		kept := *s
		s = &kept
		s.kept = true
		c.streams[s.id] = s
	}
	return s
}

func (c *h2c) forget(s *stream) {
	delete(c.streams, s.id)
	if len(s.rest) > 0 {
		c.blocked = slices.DeleteFunc(c.blocked, func(b *stream) bool { return b == s })
	}
	if s.forsaken {
		c.forsaken--
	}
}

// work takes a request that has arrived in full.
func (c *h2c) work(s *stream) {
	s.open = false
	if s.length >= 0 && s.length != s.arrived {
		c.refuse(s, protocolError)
		return
	}
	s.reply = c.dependency.take(s.ask)
	if s.reply.wait > 0 {
		c.delay(c.keep(s))
		return
	}
	c.answer(s)
}

// answer answers a request after its wait.
func (c *h2c) answer(s *stream) {
	r := &s.reply
	c.dependency.done(r)
	if s.forsaken || c.ended {
		c.forget(s)
		return
	}
	s.rest = r.body
	if s.method == http.MethodHead || bodiless(r.status) {
		s.rest = nil
	}
	flags := uint8(0)
	if len(s.rest) == 0 {
		flags = flagEndStream
	}
	at := c.beginHeaders(s, flags)
	b := appendStatus(c.out, r.status)
	b = appendField(b, fieldContentType, r.contentType)
	if !bodiless(r.status) {
		var digits [20]byte
		b = appendField(b, fieldContentLength, string(strconv.AppendInt(digits[:0], int64(len(r.body)), 10)))
	}
	if r.retryAfter != "" {
		b = appendField(b, fieldRetryAfter, r.retryAfter)
	}
	c.out = appendField(b, fieldDate, c.date.text)
	c.endHeaders(at)
	c.send(s)
}

// beginHeaders begins a HEADERS frame, of a length that endHeaders fills in.
func (c *h2c) beginHeaders(s *stream, flags uint8) (at int) {
	b := c.room()
	at = len(b)
	b = appendFrameHeader(b, 0, frameHeaders, flags|flagEndHeaders, s.id)
	if c.noTable {
		b = append(b, noTable)
		c.noTable = false
	}
	c.out = b
	return at
}

func (c *h2c) endHeaders(at int) {
	length := len(c.out) - at - frameHeader
	c.out[at+1], c.out[at+2] = byte(length>>8), byte(length)
}
