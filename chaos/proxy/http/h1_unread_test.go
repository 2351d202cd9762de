package http

import (
	"io"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/load/wire"
)

// TestUnreadableResponse passes as it is, and what follows on that connection is
// passed as without us: the exchange lasts until both sides have closed.
func TestUnreadableResponse(t *testing.T) {
	const okay = "HTTP/1.1 200 OK\r\n"
	for _, tt := range []struct {
		name, response string
		status         int
		why            string
	}{
		{"no HTTP", "rubbish\r\n", 0, "response: malformed HTTP: status line"},
		{"more fields than are read", okay + strings.Repeat("A: b\r\n", wire.MaxFields) + "Content-Length: 2\r\n\r\nok", 0, "fields"},
		{"a head past what is read", okay + "A: " + strings.Repeat("b", wire.MaxHead) + "\r\n\r\n", 0, "bytes"},
		{"two lengths", okay + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", 0, "different Content-Lengths"},
		{"a length that is folded", okay + "Content-Length: 2\r\n 2\r\n\r\nok", 0, "folded"},
		{"chunks that are none", okay + "Transfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n", 200, "chunk size"},
		{"chunks that end otherwise", okay + "Transfer-Encoding: chunked\r\n\r\n2\r\nok0\r\n\r\n", 200, "chunk does not end"},
		{"101 that nobody asked for", switching, 0, "101"},
		// Its reader by length has all of it; its reader by chunks waits.
		{"chunks beside a length", okay + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n2\r\nok", 200, "two ways"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c := l.Dial()
			c.Send(wiretest.Get)
			up := d.Take()
			up.Expect(wiretest.Get)
			go io.WriteString(up, tt.response)
			c.Expect(tt.response)
			for range 2 {
				c.Send(wiretest.Get)
				up.Expect(wiretest.Get)
				up.Send(wiretest.OK)
				c.Expect(wiretest.OK)
			}
			if n, first := l.Unread(); n != 1 || !strings.Contains(first, tt.why) || l.InFlight() != 1 {
				t.Errorf("%d connections unread, first %q, %d in flight; want one for %q", n, first, l.InFlight(), tt.why)
			}
			c.CloseWrite() // half: the dependency still talks
			up.WasClosed()
			up.Send("bye")
			c.Expect("bye")
			up.Close()
			c.WasClosed()
			if x := l.Next(); x.Ending != evidence.Unread || x.Status != tt.status || x.Method != "GET" {
				t.Errorf("recorded %+v", x)
			}
		})
	}
}

// TestUnaskedResponse: bytes behind a response belong to none of ours, so where the
// next one begins is not known.
func TestUnaskedResponse(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c, up := warm(l, d)
	up.Send("HTTP/1.1 ")
	c.Expect("HTTP/1.1 ")
	if n, _ := l.Unread(); n != 0 {
		t.Errorf("%d connections unread, want none: no exchange has met it", n)
	}
	c.Send("GET /b HT") // is no head yet, and not held back
	up.Expect("GET /b HT")
	up.Send("200 OK\r\n\r\n")
	c.Expect("200 OK\r\n\r\n")
	if n, first := l.Unread(); n != 1 || first != "response: it was not asked for" {
		t.Errorf("%d connections unread, first %q", n, first)
	}
	c.Close()
	up.WasClosed()
	up.Close()
	if x := l.Next(); x.Ending != evidence.Unread || x.Method != "" {
		t.Errorf("recorded %+v", x)
	}
}

// TestUnreadableRequest passes as it is, and so does what is answered.
func TestUnreadableRequest(t *testing.T) {
	for _, tt := range []struct{ name, request, method, why string }{
		{"a line that is no field", "GET /a HTTP/1.1\r\nno field\r\n\r\n", "", "request: malformed HTTP: field name"},
		{"lines that end in LF", "GET /a HTTP/1.1\nHost: a\n\n", "", "LF without CR"},
		{"two hosts", "GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "", "more than one Host"},
		{"chunks that are none", "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "PUT", "chunk size"},
		{"a length beside chunks, and more than they are",
			"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n0\r\n\r\nab", "PUT", "two ways"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c := l.Dial()
			c.Send(tt.request)
			up := d.Take()
			up.Expect(tt.request)
			up.Send("HTTP/1.1 4") // is no head yet, and not held back
			c.Expect("HTTP/1.1 4")
			up.Send("00 Bad\r\n\r\n")
			up.Close()
			c.Expect("00 Bad\r\n\r\n")
			c.WasClosed()
			c.Close()
			if x := l.Next(); x.Ending != evidence.Unread || x.Status != 0 || x.Method != tt.method {
				t.Errorf("recorded %+v", x)
			}
			if n, first := l.Unread(); n != 1 || !strings.Contains(first, tt.why) {
				t.Errorf("%d connections unread, first %q; want one for %q", n, first, tt.why)
			}
		})
	}
}

// TestHeldHeadIsPassedOn: the beginning of a response's head is held back until the
// request proves to be unreadable.
func TestHeldHeadIsPassedOn(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	c.Send("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
	up := d.Take()
	up.Expect("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
	up.Send("HTTP/1.1 4")
	c.Silent()
	c.Send("x")
	up.Expect("x")
	c.Expect("HTTP/1.1 4")
	up.Close()
	c.WasClosed()
	c.Close()
	if x := l.Next(); x.Ending != evidence.Unread || x.Method != "PUT" {
		t.Errorf("recorded %+v", x)
	}
}
