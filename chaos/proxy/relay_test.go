package proxy

import (
	"bufio"
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

	"go.uber.org/goleak"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// patience bounds every wait of these tests: it is not a figure of the relay,
// only the end of a test that hangs.
const patience = 20 * time.Second

// link is a relay under test with everything it recorded.
type link struct {
	*Relay
	t       *testing.T
	records chan evidence.Exchange
}

func listen(t *testing.T, upstream string, edit ...func(*Config)) *link {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	c := Config{Name: "payments", Upstream: upstream, Seed: 7, Run: 1, calm: boardAfter}
	for _, e := range edit {
		e(&c)
	}
	r, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{r, t, make(chan evidence.Exchange, 1<<16)}
	r.Record(time.Now(), func(x evidence.Exchange) { l.records <- x })
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if n := r.InFlight(); n != 0 {
			t.Errorf("%d exchanges in flight after Close", n)
		}
		select {
		case x := <-l.records:
			t.Errorf("an exchange nobody asked for: %+v", x)
		default:
		}
		if err := goleak.Find(ignore, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
			goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop")); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Add puts a toxic in force, which must fit.
func (l *link) Add(index int, t toxic.Toxic) (remove func()) {
	l.t.Helper()
	return l.AddOn(index, toxic.Both, t)
}

// AddOn is Add in a direction.
func (l *link) AddOn(index int, d toxic.Direction, t toxic.Toxic) (remove func()) {
	l.t.Helper()
	remove, err := l.Relay.Add(index, t, d)
	if err != nil {
		l.t.Error(err)
		return func() {}
	}
	return remove
}

// next is the next exchange that ends.
func (l *link) next() evidence.Exchange {
	l.t.Helper()
	select {
	case x := <-l.records:
		return x
	case <-time.After(patience):
		l.t.Fatal("no exchange was recorded")
		panic("unreachable")
	}
}

func (l *link) dial() *caller {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &caller{conn.(*net.TCPConn), bufio.NewReader(conn), l.t}
}

// caller is a client that sees every byte.
type caller struct {
	*net.TCPConn
	in *bufio.Reader
	t  *testing.T
}

func (c *caller) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads exactly these bytes.
func (c *caller) expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.in, got)
	if err != nil || string(got) != want {
		c.t.Fatalf("read %q, %v; want %q", got[:n], err, want)
	}
}

// end reads to the end: nil for a FIN.
func (c *caller) end() error {
	c.t.Helper()
	rest, err := io.ReadAll(c.in)
	if len(rest) > 0 {
		c.t.Fatalf("read %q before the end, want nothing", rest)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("the connection did not end")
	}
	return err
}

// dependency is a server that sees every byte: it hands out its connections.
type dependency struct {
	net.Listener
	t *testing.T
}

func newDependency(t *testing.T) *dependency {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &dependency{l, t}
}

func (d *dependency) accept() *caller {
	d.t.Helper()
	d.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := d.Accept()
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &caller{conn.(*net.TCPConn), bufio.NewReader(conn), d.t}
}

func (d *dependency) addr() string { return d.Addr().String() }

const (
	get = "GET /pay?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
	ok  = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)

// eventually polls what other goroutines bring about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

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
		{name: "no body", request: get, response: "HTTP/1.1 200 OK\r\ncontent-LENGTH:  0\r\n\r\n", status: 200},
		{name: "length", request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", response: ok, status: 200},
		{name: "chunked", request: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n",
			response: "HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", status: 201},
		{name: "until close", request: get, response: "HTTP/1.0 200 OK\r\n\r\nsome bytes", status: 200, closes: true},
		{name: "HEAD", request: "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", response: "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", status: 200},
		{name: "204", request: get, response: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
		{name: "304", request: get, response: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", status: 304},
		{name: "interim", request: get, response: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok, status: 200},
		{name: "odd header lines", request: "GET / HTTP/1.1\r\nhOST:a\r\nX-A:  \t b \r\nx-a: c\r\n\r\n",
			response: "HTTP/1.1 200 \r\nX:\r\nContent-Length: 0\r\n\r\n", status: 200},
		{name: "long head", request: "GET / HTTP/1.1\r\nHost: a\r\nX: " + long + "\r\n\r\n",
			response: "HTTP/1.1 200 OK\r\nX: " + long + "\r\nContent-Length: 1\r\n\r\nx", status: 200},
		{name: "large both ways", request: fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(large), large),
			response: fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(large), large), status: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDependency(t)
			l := listen(t, d.addr())
			c := l.dial()
			rounds := 3 // on one connection
			if tt.closes {
				rounds = 1
			}
			var up *caller
			for range rounds {
				go io.WriteString(c, tt.request)
				if up == nil {
					up = d.accept()
				}
				up.expect(tt.request)
				go func() {
					io.WriteString(up, tt.response)
					if tt.closes {
						up.CloseWrite()
					}
				}()
				c.expect(tt.response)
				x := l.next()
				if x.Ending != evidence.Answered || x.Status != tt.status || x.InFlight != 1 || x.Faults != 0 || x.Conn != 1 {
					t.Errorf("recorded %+v", x)
				}
				if x.End < x.Begin {
					t.Errorf("ended at %v, before it began at %v", x.End, x.Begin)
				}
			}
			if tt.closes {
				if err := c.end(); err != nil {
					t.Errorf("the connection ended with %v, want a FIN", err)
				}
			}
		})
	}
}

// TestPassesBytesOneByOne cuts both directions into single bytes.
func TestPassesBytesOneByOne(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	c := l.dial()
	request := "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	response := "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
	go func() {
		for i := range len(request) {
			c.Write([]byte{request[i]})
		}
	}()
	up := d.accept()
	up.expect(request)
	go func() {
		for i := range len(response) {
			up.Write([]byte{response[i]})
		}
	}()
	c.expect(response)
	if x := l.next(); x.Ending != evidence.Answered || x.Status != 200 || x.Method != "POST" || x.Path != "/a" {
		t.Errorf("recorded %+v", x)
	}
}

func TestRecordsWhatTheRequestCarries(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr(), func(c *Config) { c.IDHeader = "X-Shop-Id" })
	c := l.dial()
	id := string(wire.AppendID(nil, wire.ID{Run: 1, Seq: 42}))
	foreign := string(wire.AppendID(nil, wire.ID{Run: 2, Seq: 43}))
	var up *caller
	exchange := func(request, response string) evidence.Exchange {
		t.Helper()
		c.send(request)
		if up == nil {
			up = d.accept()
		}
		up.expect(request)
		up.send(response)
		c.expect(response)
		return l.next()
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
	y := exchange("POST /pay/1 HTTP/1.1\r\nHost: a\r\ntraceparent: 00-"+id+"-00000000000000aa-01\r\nIdempotency-Key: \"k1\"\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", ok)
	if y.ID != 42 || y.Key != x.Key || y.Payload != x.Payload || y.Seq != 2 || y.RetryAfter != 0 {
		t.Errorf("recorded %+v, want id, key and payload of %+v", y, x)
	}
	z := exchange("POST /pay/1 HTTP/1.1\r\nHost: a\r\nX-Shop-Id: "+foreign+"\r\nIdempotency-Key: \"k2\"\r\nContent-Length: 3\r\n\r\nabd", ok)
	if z.ID != 0 || z.Key == x.Key || z.Payload == x.Payload {
		t.Errorf("recorded %+v, want no id, and another key and payload than %+v", z, x)
	}
	if g := exchange(get, ok); g.Key != 0 || g.Payload != 0 || g.ID != 0 {
		t.Errorf("recorded %+v, want no id, key or payload", g)
	}
}

func TestResponseBeforeTheRequestIsOver(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	c := l.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
	up := d.accept()
	up.expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
	up.send(ok)
	c.expect(ok)
	if x := l.next(); x.Ending != evidence.Answered || x.Payload != 0 {
		t.Errorf("recorded %+v, want answered, with the payload unknown", x)
	}
	c.send("56789" + get)
	up.expect("56789" + get)
	up.send(ok)
	c.expect(ok)
	if x := l.next(); x.Method != "GET" || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
}

func TestExpectContinue(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	c := l.dial()
	head := "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
	c.send(head)
	up := d.accept()
	up.expect(head)
	up.send("HTTP/1.1 100 Continue\r\n\r\n")
	c.expect("HTTP/1.1 100 Continue\r\n\r\n")
	c.send("abc")
	up.expect("abc")
	up.send(ok)
	c.expect(ok)
	if x := l.next(); x.Status != 200 || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
}

func TestPipelinedRequestsAreServedInOrder(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	c := l.dial()
	var all string
	for i := range 20 {
		all += fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
	}
	c.send(all)
	up := d.accept()
	for i := range 20 {
		up.expect(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i))
		up.send(ok)
	}
	for i := range 20 {
		c.expect(ok)
		if x := l.next(); x.Path != fmt.Sprintf("/%d", i) || x.InFlight != 1 {
			t.Errorf("exchange %d: recorded %+v", i, x)
		}
	}
}

func TestUpgradeBecomesATunnel(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	c := l.dial()
	request := "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
	c.send(request)
	up := d.accept()
	up.expect(request)
	up.send("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello")
	c.expect("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello")
	c.send("\x00\x01 not HTTP")
	up.expect("\x00\x01 not HTTP")
	if n := l.InFlight(); n != 1 {
		t.Errorf("%d in flight, want the tunnel", n)
	}
	c.CloseWrite() // half: the dependency still talks
	if err := up.end(); err != nil {
		t.Errorf("the dependency saw %v, want a FIN", err)
	}
	up.send("bye")
	c.expect("bye")
	up.Close()
	if err := c.end(); err != nil {
		t.Errorf("the caller saw %v, want a FIN", err)
	}
	if x := l.next(); x.Status != 101 || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
}

// TestOtherProtocolPasses: what is not HTTP/1.1 passes as it is, in one
// exchange without method and path.
func TestOtherProtocolPasses(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	c := l.dial()
	c.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	up := d.accept()
	up.expect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	up.send("\x00\x00\x00")
	c.expect("\x00\x00\x00")
	up.Close()
	if err := c.end(); err != nil {
		t.Errorf("the caller saw %v, want a FIN", err)
	}
	c.Close()
	if x := l.next(); x.Method != "" || x.Status != 0 || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
}

// TestCallerGone: a caller that closes or resets while it waits is seen, and
// the dependency sees it too.
func TestCallerGone(t *testing.T) {
	for _, tt := range []struct {
		name    string
		request string
		leave   func(*caller)
	}{
		{"closes", get, func(c *caller) { c.Close() }},
		{"resets", get, func(c *caller) { reset(c.TCPConn) }},
		{"closes in its body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", func(c *caller) { c.Close() }},
		{"closes behind more requests", get + get + get, func(c *caller) { c.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDependency(t)
			l := listen(t, d.addr())
			c := l.dial()
			c.send(tt.request)
			up := d.accept()
			if _, err := up.in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			tt.leave(c)
			if x := l.next(); x.Ending != evidence.CallerGone || x.Status != 0 {
				t.Errorf("recorded %+v", x)
			}
			if n := l.InFlight(); n != 0 {
				t.Errorf("%d in flight", n)
			}
			if _, err := io.Copy(io.Discard, up.in); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the dependency never saw it")
			}
		})
	}
}

// TestCallerGoneWhileTheDependencyTakesNothing: the relay cannot read what the
// caller sends next, as there is no room, and still sees it leave.
func TestCallerGoneWhileTheDependencyTakesNothing(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	c := l.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
	d.accept() // and read nothing
	go func() {
		block := make([]byte, 1<<20)
		for {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	}()
	eventually(t, "the exchange begins", func() bool { return l.InFlight() == 1 })
	// Only a write that does not return within a while shows that all buffers are full.
	c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	eventually(t, "the caller is stuck", func() bool {
		_, err := c.Write(make([]byte, 1<<20))
		return err != nil
	})
	reset(c.TCPConn) // a FIN would queue up behind what is unsent
	if x := l.next(); x.Ending != evidence.CallerGone {
		t.Errorf("recorded %+v", x)
	}
}

// TestReadAfterWriteOnOneConnection: what bounded the writes of a body must not
// reach the request behind it.
func TestReadAfterWriteOnOneConnection(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	c, up := warm(l, d)
	for range 2 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		up.expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		up.send(ok)
		c.expect(ok)
		l.next()
		c.silent() // for longer than watch
		untouched(l, c, up)
	}
}

// TestDependencyFails: the caller sees what it would see without the relay.
func TestDependencyFails(t *testing.T) {
	t.Run("refuses", func(t *testing.T) {
		d := newDependency(t)
		d.Close()
		l := listen(t, d.addr())
		c := l.dial() // the relay is there
		c.send(get)
		if err := c.end(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller saw %v, want a reset", err)
		}
		if x := l.next(); x.Ending != evidence.Failed || x.Status != 0 {
			t.Errorf("recorded %+v", x)
		}
	})
	for _, tt := range []struct {
		name     string
		response string
		fail     func(*caller)
		reset    bool
		status   int
	}{
		{"closes before the response", "", func(up *caller) { up.Close() }, false, 0},
		{"resets before the response", "", func(up *caller) { reset(up.TCPConn) }, true, 0},
		{"closes in the head", "HTTP/1.1 20", func(up *caller) { up.Close() }, false, 0},
		{"closes in the body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", func(up *caller) { up.Close() }, false, 200},
		{"resets in the body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc", func(up *caller) { reset(up.TCPConn) }, true, 200},
		{"closes after rubbish", "rubbish\r\n", func(up *caller) { up.Close() }, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDependency(t)
			l := listen(t, d.addr())
			c := l.dial()
			c.send(get)
			up := d.accept()
			up.expect(get)
			up.send(tt.response)
			if tt.reset || tt.response != "HTTP/1.1 20" { // which waits for its rest
				c.expect(tt.response)
				tt.fail(up)
			} else {
				tt.fail(up)
				c.expect(tt.response)
			}
			if err := c.end(); errors.Is(err, syscall.ECONNRESET) != tt.reset {
				t.Errorf("the caller saw %v, reset wanted: %v", err, tt.reset)
			}
			if x := l.next(); x.Ending != evidence.Failed || x.Status != tt.status {
				t.Errorf("recorded %+v", x)
			}
		})
	}
}

// TestDependencyClosesIdleConnection: so is the caller's, at once.
func TestDependencyClosesIdleConnection(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	c := l.dial()
	c.send(get)
	up := d.accept()
	up.expect(get)
	up.send(ok)
	c.expect(ok)
	l.next()
	up.send("HTTP/1.1 408 Request Timeout\r\n\r\n") // as some do before they close
	up.Close()
	c.expect("HTTP/1.1 408 Request Timeout\r\n\r\n")
	if err := c.end(); err != nil {
		t.Errorf("the caller saw %v, want a FIN", err)
	}
}

// TestCallerClosesIdleConnection: the dependency sees that, too.
func TestCallerClosesIdleConnection(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	c := l.dial()
	c.send(get)
	up := d.accept()
	up.expect(get)
	up.send(ok)
	c.expect(ok)
	l.next()
	c.Close()
	if err := up.end(); err != nil {
		t.Errorf("the dependency saw %v, want a FIN", err)
	}
}

// TestEarlyRefusalOfALargeUpload: the dependency answers and closes its side
// while the caller still sends; the answer must not get lost.
func TestEarlyRefusalOfALargeUpload(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	c := l.dial()
	head := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
	c.send(head)
	up := d.accept()
	up.expect(head)
	up.send("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	up.CloseWrite()
	c.send(strings.Repeat("x", 999_999))
	c.expect("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	if err := c.end(); err != nil {
		t.Errorf("the caller saw %v, want a FIN", err)
	}
	if x := l.next(); x.Status != 413 || x.Ending != evidence.Answered {
		t.Errorf("recorded %+v", x)
	}
	up.expect(strings.Repeat("x", 999_999))
}

func TestAllowIsAskedBeforeEveryDial(t *testing.T) {
	d := newDependency(t)
	// By name, so that only the dial knows the address.
	_, port, _ := net.SplitHostPort(d.addr())
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
	c := l.dial()
	c.send(get)
	if err := c.end(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the caller saw %v, want a reset", err)
	}
	if x := l.next(); x.Ending != evidence.Failed {
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

	if _, err := Listen(Config{Upstream: "192.0.2.1:80"}); err == nil {
		t.Error("an upstream that is not on loopback is accepted without Allow")
	}
}

func TestCloseCutsWhatIsInProgress(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	remove := l.Add(3, toxic.Latency{Delay: time.Hour, Select: toxic.Select{Share: 1, Match: &toxic.Match{Path: "/slow"}}})
	l.Add(4, toxic.Partition{Select: toxic.Select{Share: 1, Match: &toxic.Match{Path: "/held"}}})
	l.dial() // idle
	l.dial().send("GET /half HTTP/1.1\r\n")
	waiting := l.dial()
	waiting.send(get)
	d.accept().expect(get)
	l.dial().send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	l.dial().send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
	streaming := l.dial()
	streaming.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
	go func() {
		up := d.accept()
		up.send("HTTP/1.0 200 OK\r\n\r\n")
		for {
			if _, err := up.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}()
	streaming.expect("HTTP/1.0 200 OK\r\n\r\n") // and no more: the relay is stuck writing
	eventually(t, "all four have begun", func() bool { return l.InFlight() == 4 })

	closed := make(chan error)
	go func() { closed <- l.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("Close does not return")
	}
	got := map[string]evidence.Exchange{}
	for range 4 {
		x := l.next()
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
	if err := waiting.end(); errors.Is(err, os.ErrDeadlineExceeded) {
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
		if x := l.next(); x.Status != 200 || x.Ending != evidence.Answered {
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
	if x := l.next(); x.Ending != evidence.CallerGone || x.Path != "/hang" {
		t.Errorf("recorded %+v", x)
	}
	select {
	case <-cancelled:
	case <-time.After(patience):
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
		ctx, cancel := context.WithTimeout(context.Background(), patience)
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
	if x := l.next(); x.Status != 200 || x.Method != "POST" {
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
		if x := l.next(); x.Status != 503 || x.Ending != evidence.Injected || !x.HitBy(0) || x.RetryAfter != 2*time.Second {
			t.Errorf("recorded %+v", x)
		}
	}
	remove()

	remove = l.Add(1, toxic.Reset{Select: toxic.All})
	if got := curl("", url); !strings.Contains(got, "reset by peer") {
		t.Errorf("got %q, want a reset", got)
	}
	if x := l.next(); x.Ending != evidence.Broken || !x.HitBy(1) {
		t.Errorf("recorded %+v", x)
	}
	remove()

	if got, want := curl("", url), " 200 "; got != want {
		t.Errorf("healed: got %q, want %q", got, want)
	}
	l.next()
}
