package http

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// answer answers the request in the dependency's place.
func (c *h1Conn) answer() step {
	c.final.Lock()
	c.mu.Lock()
	x := &c.x
	if x.answer.Status == 0 { // it was meant for gRPC calls, which this is none of
		x.answer.Status = wire.GRPCToHTTP(x.answer.GRPCStatus)
	}
	x.Status = x.answer.Status
	x.SetRetryAfter(time.Duration(toxic.WholeSeconds(x.answer.RetryAfter)) * time.Second)
	text := appendAnswer(nil, x.answer, x.toHEAD, c.last)
	e, ok := c.finish(evidence.Injected)
	c.mu.Unlock()
	if !ok {
		c.final.Unlock()
		return stop
	}
	_, err := c.writeBack(text)
	c.final.Unlock()
	if err != nil {
		e.unwritten(c.relay)
		e.Status = 0
	}
	e.Tell()
	if err != nil {
		return stop
	}
	if e.breaks {
		c.delivered()
		c.shut(true)
		return stop
	}
	c.in.release()
	c.phase = reading
	if c.last {
		_ = c.caller.CloseWrite() // fails only if the caller is gone
		return c.beginDrain()
	}
	return again
}

// appendAnswer encodes the answer of a Respond.
func appendAnswer(b []byte, f toxic.Fate, toHEAD, last bool) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(f.Status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(f.Status)...)
	b = append(b, "\r\n"...)
	if f.RetryAfter > 0 {
		b = append(b, "Retry-After: "...)
		b = strconv.AppendInt(b, toxic.WholeSeconds(f.RetryAfter), 10)
		b = append(b, "\r\n"...)
	}
	if last {
		b = append(b, "Connection: close\r\n"...)
	}
	typed := false
	for name, value := range f.Fields.All() {
		b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
		typed = typed || strings.EqualFold(name, "Content-Type")
	}
	if toxic.Bodiless(f.Status) {
		return append(b, "\r\n"...)
	}
	if f.Body != "" && !typed {
		b = append(b, "Content-Type: text/plain; charset=utf-8\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(f.Body)), 10)
	b = append(b, "\r\n\r\n"...)
	if !toHEAD {
		b = append(b, f.Body...)
	}
	return b
}
