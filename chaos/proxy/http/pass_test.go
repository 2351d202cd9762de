package http

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/load/wire"
)

// TestPassesBytes sends requests as they are written down here and answers
// them, on one connection after the other: both sides see the same bytes.
func TestPassesBytes(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 40<<10/16)
	large := strings.Repeat("x", 3<<20)
	for _, tt := range []struct {
		name              string
		request, response string
		status            int
		closes            bool // the response ends with the connection
	}{
		{name: "no body", request: wiretest.Get, response: "HTTP/1.1 200 OK\r\ncontent-LENGTH:  0\r\n\r\n", status: 200},
		{name: "length", request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", response: wiretest.OK, status: 200},
		{name: "chunked", request: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n",
			response: "HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", status: 201},
		{name: "until close", request: wiretest.Get, response: "HTTP/1.0 200 OK\r\n\r\nsome bytes", status: 200, closes: true},
		{name: "HEAD", request: "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", response: "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", status: 200},
		{name: "204", request: wiretest.Get, response: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
		{name: "304", request: wiretest.Get, response: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", status: 304},
		{name: "interim", request: wiretest.Get, response: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + wiretest.OK, status: 200},
		{name: "odd header lines", request: "GET / HTTP/1.1\r\nhOST:a\r\nX-A:  \t b \r\nx-a: c\r\n\r\n",
			response: "HTTP/1.1 200 \r\nX:\r\nContent-Length: 0\r\n\r\n", status: 200},
		{name: "long head", request: "GET / HTTP/1.1\r\nHost: a\r\nX: " + long + "\r\n\r\n",
			response: "HTTP/1.1 200 OK\r\nX: " + long + "\r\nContent-Length: 1\r\n\r\nx", status: 200},
		{name: "large both ways", request: fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(large), large),
			response: fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(large), large), status: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c := l.Dial()
			rounds := 3 // on one connection
			if tt.closes {
				rounds = 1
			}
			var up *wiretest.Caller
			for range rounds {
				go io.WriteString(c, tt.request)
				if up == nil {
					up = d.Take()
				}
				up.Expect(tt.request)
				go func() {
					io.WriteString(up, tt.response)
					if tt.closes {
						up.CloseWrite()
					}
				}()
				c.Expect(tt.response)
				x := l.Next()
				if x.Ending != evidence.Answered || x.Status != tt.status || x.InFlight != 1 || x.Faults != 0 || x.Conn != 1 {
					t.Errorf("recorded %+v", x)
				}
				if x.End < x.Begin {
					t.Errorf("ended at %v, before it began at %v", x.End, x.Begin)
				}
			}
			if tt.closes {
				if err := c.End(); err != nil {
					t.Errorf("the connection ended with %v, want a FIN", err)
				}
			}
		})
	}
}

// TestPassesBytesOneByOne cuts both directions into single bytes.
func TestPassesBytesOneByOne(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	request := "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	response := "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
	go func() {
		for i := range len(request) {
			c.Write([]byte{request[i]})
		}
	}()
	up := d.Take()
	up.Expect(request)
	go func() {
		for i := range len(response) {
			up.Write([]byte{response[i]})
		}
	}()
	c.Expect(response)
	if x := l.Next(); x.Ending != evidence.Answered || x.Status != 200 || x.Method != "POST" || x.Path != "/a" {
		t.Errorf("recorded %+v", x)
	}
}

func TestRecordsWhatTheRequestCarries(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address(), func(c *Config) { c.IDHeader = "X-Shop-Id" })
	c := l.Dial()
	id := string(wire.AppendID(nil, wire.ID{Run: 1, Seq: 42}))
	foreign := string(wire.AppendID(nil, wire.ID{Run: 2, Seq: 43}))
	var up *wiretest.Caller
	exchange := func(request, response string) evidence.Exchange {
		t.Helper()
		c.Send(request)
		if up == nil {
			up = d.Take()
		}
		up.Expect(request)
		up.Send(response)
		c.Expect(response)
		return l.Next()
	}

	x := exchange("POST /pay/1?q=2 HTTP/1.1\r\nHost: a\r\nX-Shop-Id: "+id+"\r\nIdempotency-Key: \"k1\"\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
	if x.ID != 42 || x.Method != "POST" || x.Path != "/pay/1" || x.Seq != 1 || x.Status != 503 || x.Extra().RetryAfter != 7*time.Second {
		t.Errorf("recorded %+v", x)
	}
	if x.Key == 0 || x.Payload == 0 {
		t.Errorf("key %d and payload %d, want both", x.Key, x.Payload)
	}
	// The payload is the body without its framing, so it is the same in chunks.
	y := exchange("POST /pay/1 HTTP/1.1\r\nHost: a\r\ntraceparent: 00-"+id+"-00000000000000aa-01\r\nIdempotency-Key: \"k1\"\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", wiretest.OK)
	if y.ID != 42 || y.Key != x.Key || y.Payload != x.Payload || y.Seq != 2 || y.Extra().RetryAfter != 0 {
		t.Errorf("recorded %+v, want id, key and payload of %+v", y, x)
	}
	z := exchange("POST /pay/1 HTTP/1.1\r\nHost: a\r\nX-Shop-Id: "+foreign+"\r\nIdempotency-Key: \"k2\"\r\nContent-Length: 3\r\n\r\nabd", wiretest.OK)
	if z.ID != 0 || z.Key == x.Key || z.Payload == x.Payload {
		t.Errorf("recorded %+v, want no id, and another key and payload than %+v", z, x)
	}
	if g := exchange(wiretest.Get, wiretest.OK); g.Key != 0 || g.Payload != 0 || g.ID != 0 {
		t.Errorf("recorded %+v, want no id, key or payload", g)
	}
}

func TestResponseBeforeTheRequestIsOver(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	c.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
	up := d.Take()
	up.Expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
	up.Send(wiretest.OK)
	c.Expect(wiretest.OK)
	if x := l.Next(); x.Ending != evidence.Answered || x.Payload != 0 {
		t.Errorf("recorded %+v, want answered, with the payload unknown", x)
	}
	c.Send("56789" + wiretest.Get)
	up.Expect("56789" + wiretest.Get)
	up.Send(wiretest.OK)
	c.Expect(wiretest.OK)
	if x := l.Next(); x.Method != "GET" || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
}

func TestExpectContinue(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	head := "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
	c.Send(head)
	up := d.Take()
	up.Expect(head)
	up.Send("HTTP/1.1 100 Continue\r\n\r\n")
	c.Expect("HTTP/1.1 100 Continue\r\n\r\n")
	c.Send("abc")
	up.Expect("abc")
	up.Send(wiretest.OK)
	c.Expect(wiretest.OK)
	if x := l.Next(); x.Status != 200 || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
}

func TestPipelinedRequestsAreServedInOrder(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	var all string
	for i := range 20 {
		all += fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
	}
	c.Send(all)
	up := d.Take()
	for i := range 20 {
		up.Expect(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i))
		up.Send(wiretest.OK)
	}
	for i := range 20 {
		c.Expect(wiretest.OK)
		if x := l.Next(); x.Path != fmt.Sprintf("/%d", i) || x.InFlight != 1 {
			t.Errorf("exchange %d: recorded %+v", i, x)
		}
	}
}

func TestUpgradeBecomesATunnel(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	request := "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
	c.Send(request)
	up := d.Take()
	up.Expect(request)
	up.Send("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello")
	c.Expect("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello")
	c.Send("\x00\x01 not HTTP")
	up.Expect("\x00\x01 not HTTP")
	if n := l.InFlight(); n != 1 {
		t.Errorf("%d in flight, want the tunnel", n)
	}
	c.CloseWrite() // half: the dependency still talks
	if err := up.End(); err != nil {
		t.Errorf("the dependency saw %v, want a FIN", err)
	}
	up.Send("bye")
	c.Expect("bye")
	up.Close()
	if err := c.End(); err != nil {
		t.Errorf("the caller saw %v, want a FIN", err)
	}
	if x := l.Next(); x.Status != 101 || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
}

// TestOtherProtocolPasses: what is not HTTP/1.1 passes as it is, in one
// exchange without method and path.
func TestOtherProtocolPasses(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	c.Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	up := d.Take()
	up.Expect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	up.Send("\x00\x00\x00")
	c.Expect("\x00\x00\x00")
	up.Close()
	if err := c.End(); err != nil {
		t.Errorf("the caller saw %v, want a FIN", err)
	}
	c.Close()
	if x := l.Next(); x.Method != "" || x.Status != 0 || x.Ending != evidence.Unread {
		t.Errorf("recorded %+v", x)
	}
}

// TestReadAfterWriteOnOneConnection: what bounded the writes of a body must not
// reach the request behind it.
func TestReadAfterWriteOnOneConnection(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c, up := warm(l, d)
	for range 2 {
		c.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		up.Expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		l.Next()
		c.Silent() // for longer than watch
		untouched(l, c, up)
	}
}
