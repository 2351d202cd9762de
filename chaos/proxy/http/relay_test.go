package http

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
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
	if x.ID != 42 || x.Method != "POST" || x.Path != "/pay/1" || x.Seq != 1 || x.Status != 503 || x.RetryAfter != 7*time.Second {
		t.Errorf("recorded %+v", x)
	}
	if x.Key == 0 || x.Payload == 0 {
		t.Errorf("key %d and payload %d, want both", x.Key, x.Payload)
	}
	// The payload is the body without its framing, so it is the same in chunks.
	y := exchange("POST /pay/1 HTTP/1.1\r\nHost: a\r\ntraceparent: 00-"+id+"-00000000000000aa-01\r\nIdempotency-Key: \"k1\"\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", wiretest.OK)
	if y.ID != 42 || y.Key != x.Key || y.Payload != x.Payload || y.Seq != 2 || y.RetryAfter != 0 {
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
	if x := l.Next(); x.Method != "" || x.Status != 0 || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
}

// TestCallerGone: a caller that closes or resets while it waits is seen, and
// the dependency sees it too.
func TestCallerGone(t *testing.T) {
	for _, tt := range []struct {
		name    string
		request string
		leave   func(*wiretest.Caller)
	}{
		{"closes", wiretest.Get, func(c *wiretest.Caller) { c.Close() }},
		{"resets", wiretest.Get, func(c *wiretest.Caller) { transport.Reset(c.TCPConn) }},
		{"closes in its body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", func(c *wiretest.Caller) { c.Close() }},
		{"closes behind more requests", wiretest.Get + wiretest.Get + wiretest.Get, func(c *wiretest.Caller) { c.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c := l.Dial()
			c.Send(tt.request)
			up := d.Take()
			if _, err := up.In.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			tt.leave(c)
			if x := l.Next(); x.Ending != evidence.CallerGone || x.Status != 0 {
				t.Errorf("recorded %+v", x)
			}
			if n := l.InFlight(); n != 0 {
				t.Errorf("%d in flight", n)
			}
			if _, err := io.Copy(io.Discard, up.In); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the dependency never saw it")
			}
		})
	}
}

// TestCallerGoneWhileTheDependencyTakesNothing: the relay cannot read what the
// caller sends next, as there is no room, and still sees it leave.
func TestCallerGoneWhileTheDependencyTakesNothing(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	c.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
	d.Take() // and read nothing
	go func() {
		block := make([]byte, 1<<20)
		for {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	}()
	wiretest.Eventually(t, "the exchange begins", func() bool { return l.InFlight() == 1 })
	// Only a write that does not return within a while shows that all buffers are full.
	c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	wiretest.Eventually(t, "the caller is stuck", func() bool {
		_, err := c.Write(make([]byte, 1<<20))
		return err != nil
	})
	transport.Reset(c.TCPConn) // a FIN would queue up behind what is unsent
	if x := l.Next(); x.Ending != evidence.CallerGone {
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

// TestDependencyFails: the caller sees what it would see without the relay.
func TestDependencyFails(t *testing.T) {
	t.Run("refuses", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		d.Close()
		l := listen(t, d.Address())
		c := l.Dial() // the relay is there
		c.Send(wiretest.Get)
		if err := c.End(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller saw %v, want a reset", err)
		}
		if x := l.Next(); x.Ending != evidence.Failed || x.Status != 0 {
			t.Errorf("recorded %+v", x)
		}
	})
	for _, tt := range []struct {
		name     string
		response string
		fail     func(*wiretest.Caller)
		reset    bool
		status   int
	}{
		{"closes before the response", "", func(up *wiretest.Caller) { up.Close() }, false, 0},
		{"resets before the response", "", func(up *wiretest.Caller) { transport.Reset(up.TCPConn) }, true, 0},
		{"closes in the head", "HTTP/1.1 20", func(up *wiretest.Caller) { up.Close() }, false, 0},
		{"closes in the body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", func(up *wiretest.Caller) { up.Close() }, false, 200},
		{"resets in the body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc", func(up *wiretest.Caller) { transport.Reset(up.TCPConn) }, true, 200},
		{"closes after rubbish", "rubbish\r\n", func(up *wiretest.Caller) { up.Close() }, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c := l.Dial()
			c.Send(wiretest.Get)
			up := d.Take()
			up.Expect(wiretest.Get)
			up.Send(tt.response)
			if tt.reset || tt.response != "HTTP/1.1 20" { // which waits for its rest
				c.Expect(tt.response)
				tt.fail(up)
			} else {
				tt.fail(up)
				c.Expect(tt.response)
			}
			if err := c.End(); errors.Is(err, syscall.ECONNRESET) != tt.reset {
				t.Errorf("the caller saw %v, reset wanted: %v", err, tt.reset)
			}
			if x := l.Next(); x.Ending != evidence.Failed || x.Status != tt.status {
				t.Errorf("recorded %+v", x)
			}
		})
	}
}

// TestDependencyClosesIdleConnection: so is the caller's, at once.
func TestDependencyClosesIdleConnection(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	c.Send(wiretest.Get)
	up := d.Take()
	up.Expect(wiretest.Get)
	up.Send(wiretest.OK)
	c.Expect(wiretest.OK)
	l.Next()
	up.Send("HTTP/1.1 408 Request Timeout\r\n\r\n") // as some do before they close
	up.Close()
	c.Expect("HTTP/1.1 408 Request Timeout\r\n\r\n")
	if err := c.End(); err != nil {
		t.Errorf("the caller saw %v, want a FIN", err)
	}
}

// TestCallerClosesIdleConnection: the dependency sees that, too.
func TestCallerClosesIdleConnection(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	c.Send(wiretest.Get)
	up := d.Take()
	up.Expect(wiretest.Get)
	up.Send(wiretest.OK)
	c.Expect(wiretest.OK)
	l.Next()
	c.Close()
	if err := up.End(); err != nil {
		t.Errorf("the dependency saw %v, want a FIN", err)
	}
}

// TestEarlyRefusalOfALargeUpload: the dependency answers and closes its side
// while the caller still sends; the answer must not get lost.
func TestEarlyRefusalOfALargeUpload(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c := l.Dial()
	head := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
	c.Send(head)
	up := d.Take()
	up.Expect(head)
	up.Send("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	up.CloseWrite()
	c.Send(strings.Repeat("x", 999_999))
	c.Expect("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	if err := c.End(); err != nil {
		t.Errorf("the caller saw %v, want a FIN", err)
	}
	if x := l.Next(); x.Status != 413 || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
	up.Expect(strings.Repeat("x", 999_999))
}

func TestAllowIsAskedBeforeEveryDial(t *testing.T) {
	d := wiretest.NewDependency(t)
	// By name, so that only the dial knows the address.
	_, port, _ := net.SplitHostPort(d.Address())
	refused := errors.New("not today")
	var mu sync.Mutex
	var asked []netip.AddrPort
	l := listen(t, "localhost:"+port, func(c *Config) {
		c.Allow = func(a netip.AddrPort) error {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, a)
			return refused
		}
	})
	c := l.Dial()
	c.Send(wiretest.Get)
	if err := c.End(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the caller saw %v, want a reset", err)
	}
	if x := l.Next(); x.Ending != evidence.Failed {
		t.Errorf("recorded %+v", x)
	}
	if len(asked) == 0 {
		t.Error("nobody asked")
	}
	d.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
	if conn, err := d.Accept(); err == nil {
		conn.Close()
		t.Error("the dependency was dialled all the same")
	}

}

func TestCloseCutsWhatIsInProgress(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	remove := l.Add(3, toxic.Latency{Delay: time.Hour, Select: toxic.Select{Share: 1, Match: &toxic.Match{Path: "/slow"}}})
	l.Add(4, toxic.Partition{Select: toxic.Select{Share: 1, Match: &toxic.Match{Path: "/held"}}})
	l.Dial() // idle
	l.Dial().Send("GET /half HTTP/1.1\r\n")
	waiting := l.Dial()
	waiting.Send(wiretest.Get)
	d.Take().Expect(wiretest.Get)
	l.Dial().Send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	l.Dial().Send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
	streaming := l.Dial()
	streaming.Send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
	go func() {
		up := d.Take()
		up.Send("HTTP/1.0 200 OK\r\n\r\n")
		for {
			if _, err := up.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}()
	streaming.Expect("HTTP/1.0 200 OK\r\n\r\n") // and no more: the relay is stuck writing
	wiretest.Eventually(t, "all four have begun", func() bool { return l.InFlight() == 4 })

	closed := make(chan error)
	go func() { closed <- l.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(wiretest.Patience):
		t.Fatal("Close does not return")
	}
	got := map[string]evidence.Exchange{}
	for range 4 {
		x := l.Next()
		got[x.Path] = x
		if x.Ending != evidence.Cut {
			t.Errorf("recorded %+v, want it cut", x)
		}
	}
	for path, want := range map[string]struct {
		status int
		faults uint64
	}{"/pay": {0, 0}, "/slow": {0, 1 << 3}, "/held": {0, 1 << 4}, "/stream": {200, 0}} {
		if x := got[path]; x.Status != want.status || x.Faults != want.faults {
			t.Errorf("%s: status %d, faults %b; want %d, %b", path, x.Status, x.Faults, want.status, want.faults)
		}
	}
	remove()
	if err := waiting.End(); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the caller's connection is open")
	}
}

// TestNetHTTP runs net/http's client and server through a link.
func TestNetHTTP(t *testing.T) {
	cancelled := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			body, _ := io.ReadAll(r.Body)
			w.Write(body)
		case "/hang":
			<-r.Context().Done()
			close(cancelled)
		}
	}))
	defer server.Close()
	l := listen(t, server.Listener.Addr().String())
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	for _, size := range []int{0, 1, 100, 5 << 10, 1 << 20} {
		want := bytes.Repeat([]byte("abcde"), size)[:size]
		res, err := client.Post("http://"+l.Addr()+"/echo", "x", io.MultiReader(bytes.NewReader(want))) // in chunks
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: got %d bytes, %v", size, len(got), err)
		}
		if x := l.Next(); x.Status != 200 || x.Ending != evidence.Answered {
			t.Errorf("recorded %+v", x)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+l.Addr()+"/hang", nil)
	go func() {
		for l.InFlight() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := client.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if x := l.Next(); x.Ending != evidence.CallerGone || x.Path != "/hang" {
		t.Errorf("recorded %+v", x)
	}
	select {
	case <-cancelled:
	case <-time.After(wiretest.Patience):
		t.Error("the dependency's work goes on for a caller who left")
	}
}

func TestCurl(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	}))
	defer server.Close()
	l := listen(t, server.Listener.Addr().String())
	curl := func(stdin string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), wiretest.Patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, "curl", append([]string{"-sS", "-w", " %{http_code} %header{retry-after}"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return string(out) + " " + err.Error()
		}
		return string(out)
	}
	url := "http://" + l.Addr()
	// curl says Expect: 100-continue for a body this large.
	if got, want := curl(strings.Repeat("x", 2<<20), "--data-binary", "@-", url), " 200 "; got != want {
		t.Errorf("upload: got %q, want %q", got, want)
	}
	if x := l.Next(); x.Status != 200 || x.Method != "POST" {
		t.Errorf("recorded %+v", x)
	}

	remove := l.Add(0, toxic.Errors{Status: toxic.Statuses{503}, RetryAfter: 1500 * time.Millisecond, Body: "down", Select: toxic.All})
	if got, want := curl("", url), "down 503 2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := curl(strings.Repeat("x", 2<<20), "--data-binary", "@-", url), "down 503 2"; got != want {
		t.Errorf("upload: got %q, want %q", got, want)
	}
	for range 2 {
		if x := l.Next(); x.Status != 503 || x.Ending != evidence.Injected || !x.HitBy(0) || x.RetryAfter != 2*time.Second {
			t.Errorf("recorded %+v", x)
		}
	}
	remove()

	remove = l.Add(1, toxic.Reset{Select: toxic.All})
	if got := curl("", url); !strings.Contains(got, "reset by peer") {
		t.Errorf("got %q, want a reset", got)
	}
	if x := l.Next(); x.Ending != evidence.Broken || !x.HitBy(1) {
		t.Errorf("recorded %+v", x)
	}
	remove()

	if got, want := curl("", url), " 200 "; got != want {
		t.Errorf("healed: got %q, want %q", got, want)
	}
	l.Next()
}
