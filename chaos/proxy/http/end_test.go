package http

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

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
