package http

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

func TestDuplicate(t *testing.T) {
	t.Run("twice, and one answer", func(t *testing.T) {
		for name, request := range map[string]string{
			"no body":     wiretest.Get,
			"a length":    "POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
			"chunks":      "POST /pay HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
			"a long body": fmt.Sprintf("POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", 1<<20, strings.Repeat("x", 1<<20)),
		} {
			t.Run(name, func(t *testing.T) {
				d := wiretest.NewDependency(t)
				l := listen(t, d.Address())
				c, up := warm(l, d)
				remove := l.Add(4, toxic.Duplicate{Select: toxic.All})
				go io.WriteString(c, request)
				up.Expect(request)
				second := d.Take()
				second.Expect(request)
				second.Send(bodied("of the second"))
				second.WasClosed()
				up.Send(bodied("of the first"))
				c.Expect(bodied("of the first"))
				l.recorded(evidence.Answered, 200, true)
				remove()
				untouched(l, c, up)
			})
		}
	})

	t.Run("without a connection for each", func(t *testing.T) {
		const calls = 100
		var requests, conns atomic.Int64
		addr := h2server(t, func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			_, _ = io.WriteString(w, "ok")
		}, func(s *http.Server) {
			s.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					conns.Add(1)
				}
			}
		})
		l := listen(t, addr)
		l.Add(4, toxic.Duplicate{Select: toxic.All})
		client := &http.Client{Transport: new(http.Transport)}
		defer client.CloseIdleConnections()
		for range calls {
			if resp, body := fetch(t, client, "GET", "http://"+l.Addr()+"/", ""); resp.StatusCode != 200 || body != "ok" {
				t.Errorf("got %d %q", resp.StatusCode, body)
			}
			l.Next()
		}
		wiretest.Eventually(t, "each call comes twice", func() bool { return requests.Load() == 2*calls })
		// One for the caller's, one for the others, and a few where this machine stood still.
		if n := conns.Load(); n > calls/2 {
			t.Errorf("%d connections for %d calls", n, calls)
		}
		t.Logf("%d connections", conns.Load())
	})

	t.Run("the first is answered and closed at once", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		l.Add(4, toxic.Duplicate{Select: toxic.All})
		for range 20 {
			c := l.Dial()
			c.Send(wiretest.Get)
			for range 2 { // whichever is the first
				up := d.Take()
				up.Expect(wiretest.Get)
				up.Send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				up.Close()
			}
			c.Expect("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			l.recorded(evidence.Answered, 200, true)
		}
	})

	t.Run("the link closes before the second is answered", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		l.Add(4, toxic.Duplicate{Select: toxic.All})
		c := l.Dial()
		c.Send(wiretest.Get)
		for range 2 {
			d.Take().Expect(wiretest.Get)
		}
		l.Close() // waits for every goroutine
		l.recorded(evidence.Cut, 0, true)
	})

	t.Run("once, as it asks for an upgrade or is too long", func(t *testing.T) {
		long := fmt.Sprintf("POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", maxCopy, strings.Repeat("x", maxCopy))
		for name, request := range map[string]string{
			"upgrade": "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
			"CONNECT": "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
			"long":    long,
		} {
			t.Run(name, func(t *testing.T) {
				d := wiretest.NewDependency(t)
				l := listen(t, d.Address())
				c, up := warm(l, d)
				l.Add(4, toxic.Duplicate{Select: toxic.All})
				go io.WriteString(c, request)
				up.Expect(request)
				up.Send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
				c.Expect("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
				l.recorded(evidence.Answered, 400, false)
			})
		}
	})
}

// TestFaultsTogether does several things to one response.
func TestFaultsTogether(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c, up := warm(l, d)
	l.Add(0, toxic.Truncate{After: 8, Select: toxic.All})
	l.Add(1, toxic.Corrupt{Bytes: 1, Select: toxic.All})
	l.Add(2, toxic.SlowBody{Piece: 3, Pause: time.Millisecond, Select: toxic.All})
	l.Add(3, toxic.Latency{Delay: time.Millisecond, On: "response", Select: toxic.All})
	l.Add(5, toxic.Reset{When: "during", Select: toxic.All}) // after 10 bytes: the truncation comes first
	c.Send(wiretest.Get)
	up.Expect(wiretest.Get)
	up.Send(bodied("0123456789abcdefghij"))
	c.Expect("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
	got, err := io.ReadAll(c.In)
	if err != nil || len(got) != 8 {
		t.Errorf("the caller got %d bytes of the body and %v, want 8 and a FIN", len(got), err)
	}
	for i, b := range got {
		if b == "0123456789"[i] {
			t.Errorf("byte %d of the body is not changed", i)
		}
	}
	if x := l.Next(); x.Faults != 0b1111 || x.Ending != evidence.Broken {
		t.Errorf("recorded %v, faults %b; want it broken, and all but the reset", x.Ending, x.Faults)
	}
}
