package http

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
)

func TestErrorsAnswer(t *testing.T) {
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
	for _, tt := range []struct {
		name        string
		fault       toxic.Errors
		request     string
		want        string
		wantClose   bool
		wantPayload bool
		wantRetry   time.Duration
	}{
		{name: "status alone", fault: toxic.Errors{Status: toxic.Statuses{503}}, request: wiretest.Get,
			want: "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"},
		{name: "body", fault: toxic.Errors{Status: toxic.Statuses{429}, Body: "slow down"}, request: wiretest.Get,
			want: "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 9\r\n\r\nslow down"},
		{name: "Retry-After is rounded up", fault: toxic.Errors{Status: toxic.Statuses{503}, RetryAfter: 1001 * time.Millisecond}, request: wiretest.Get,
			want: "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n", wantRetry: 2 * time.Second},
		{name: "HEAD", fault: toxic.Errors{Status: toxic.Statuses{500}, Body: "x"}, request: "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
			want: "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\n\r\n"},
		{name: "no body with 204", fault: toxic.Errors{Status: toxic.Statuses{204}}, request: wiretest.Get,
			want: "HTTP/1.1 204 No Content\r\n\r\n"},
		{name: "status without a name", fault: toxic.Errors{Status: toxic.Statuses{599}}, request: wiretest.Get,
			want: "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n"},
		{name: "request body is discarded", fault: toxic.Errors{Status: toxic.Statuses{503}}, request: post, wantPayload: true,
			want: "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"},
		{name: "chunks are discarded", fault: toxic.Errors{Status: toxic.Statuses{503}}, wantPayload: true,
			request: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
			want:    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"},
		{name: "caller wants it closed", fault: toxic.Errors{Status: toxic.Statuses{503}}, wantClose: true,
			request: "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
			want:    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		{name: "caller waits for a 100", fault: toxic.Errors{Status: toxic.Statuses{503}}, wantClose: true,
			request: "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
			want:    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c, up := warm(l, d) // open when it is injected
			tt.fault.Select = toxic.All
			remove := l.Add(5, tt.fault)
			for range 2 {
				c.Send(tt.request)
				c.Expect(tt.want)
				x := l.Next()
				if x.Status != tt.fault.Status[0] || x.Ending != evidence.Injected || x.Faults != 1<<5 || x.RetryAfter != tt.wantRetry {
					t.Errorf("recorded %+v", x)
				}
				if (x.Payload != 0) != tt.wantPayload {
					t.Errorf("payload %d, want one: %v", x.Payload, tt.wantPayload)
				}
				if tt.wantClose {
					if err := c.End(); err != nil {
						t.Errorf("the caller saw %v, want a FIN", err)
					}
					return
				}
			}
			if n := l.Hit(5); n != 2 {
				t.Errorf("hit %d, want 2", n)
			}
			remove()
			untouched(l, c, up) // and the dependency saw nothing of the others
			if n := l.Hit(5); n != 2 {
				t.Errorf("hit %d after the heal, want 2", n)
			}
		})
	}
}

func TestErrorsInFlight(t *testing.T) {
	const answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
	fault := toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All}

	t.Run("waiting for the response", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send("HTTP/1.1 103 Early Hints\r\n\r\n") // does not make it too late
		c.Expect("HTTP/1.1 103 Early Hints\r\n\r\n")
		remove := l.Add(0, fault)
		c.Expect(answer)
		if err := up.End(); err != nil {
			t.Errorf("the dependency saw %v, want a FIN", err)
		}
		if x := l.Next(); x.Ending != evidence.Injected || x.Status != 503 || x.Faults != 1 {
			t.Errorf("recorded %+v", x)
		}
		remove()
		c.Send(wiretest.Get) // the caller's connection lives, with a new one behind it
		up = d.Take()
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		l.Next()
	})

	t.Run("in the request's body", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c := l.Dial()
		c.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
		up := d.Take()
		up.Expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
		l.Add(0, fault)
		if err := up.End(); err != nil {
			t.Errorf("the dependency saw %v, want a FIN", err)
		}
		c.Send("def" + wiretest.Get)
		c.Expect(answer + answer)
		if x := l.Next(); x.Ending != evidence.Injected || x.Method != "POST" || x.Payload == 0 {
			t.Errorf("recorded %+v", x)
		}
		l.Next()
	})

	t.Run("too late", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK[:len(wiretest.OK)-1])
		c.Expect(wiretest.OK[:len(wiretest.OK)-1])
		l.Add(0, fault)
		l.Add(1, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		up.Send(wiretest.OK[len(wiretest.OK)-1:])
		c.Expect(wiretest.OK[len(wiretest.OK)-1:])
		if x := l.Next(); x.Ending != evidence.Answered || x.Status != 200 || x.Faults != 0 {
			t.Errorf("recorded %+v, want it untouched", x)
		}
	})

	t.Run("the dependency closes its idle connection meanwhile", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(0, fault)
		c.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
		wiretest.Eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		wiretest.Eventually(t, "it is being answered", func() bool { return l.answering() })
		up.Close()
		wiretest.Eventually(t, "the relay sees it", func() bool { return !l.connected() })
		c.Send("b")
		c.Expect(answer)
		if x := l.Next(); x.Ending != evidence.Injected {
			t.Errorf("recorded %+v", x)
		}
	})
}

// answering reports whether an exchange is, or has been, answered.
func (l *testLink) answering() bool { return l.any(func(c *h1Conn) bool { return c.x.answering }) }

// connected reports whether a connection has one to the dependency.
func (l *testLink) connected() bool { return l.any(func(c *h1Conn) bool { return c.up != nil }) }

func (l *testLink) any(is func(*h1Conn) bool) bool {
	l.relay.mu.Lock()
	defer l.relay.mu.Unlock()
	for each := range l.relay.conns {
		c := each.(*h1Conn)
		c.mu.Lock()
		yes := is(c)
		c.mu.Unlock()
		if yes {
			return true
		}
	}
	return false
}

func TestLatency(t *testing.T) {
	t.Run("delays by what it says at least", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(2, toxic.Latency{Delay: 40 * time.Millisecond, Select: toxic.All})
		l.Add(3, toxic.Latency{Delay: 20 * time.Millisecond, Select: toxic.All})
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		// 40 ms + 20 ms
		if x := l.Next(); x.Duration() < 60*time.Millisecond || x.Ending != evidence.Answered || x.Faults != 1<<2|1<<3 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("the rest is dropped when it heals", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		remove := l.Add(2, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		c.Send(wiretest.Get)
		up.Silent()
		remove()
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		if x := l.Next(); x.Ending != evidence.Answered || x.Faults != 1<<2 {
			t.Errorf("recorded %+v", x)
		}
		untouched(l, c, up)
	})

	t.Run("delays the response of a call in flight", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		remove := l.Add(2, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		up.Send(wiretest.OK)
		c.Silent()
		remove()
		c.Expect(wiretest.OK)
		if x := l.Next(); x.Ending != evidence.Answered || x.Faults != 1<<2 {
			t.Errorf("recorded %+v", x)
		}
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		l.Add(2, toxic.Latency{Delay: 40 * time.Millisecond, Select: toxic.All})
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		if x := l.Next(); x.Duration() < 40*time.Millisecond {
			t.Errorf("recorded %+v, want at least the delay", x)
		}
	})

	t.Run("a caller who leaves is seen meanwhile", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		l.Add(2, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		c := l.Dial()
		c.Send(wiretest.Get)
		wiretest.Eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		c.Close()
		if x := l.Next(); x.Ending != evidence.CallerGone || x.Faults != 1<<2 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("delays an answer", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		l.Add(2, toxic.Latency{Delay: 40 * time.Millisecond, Select: toxic.All})
		l.Add(3, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
		c := l.Dial()
		c.Send(wiretest.Get)
		c.Expect("HTTP/1.1 503")
		if x := l.Next(); x.Duration() < 40*time.Millisecond || x.Ending != evidence.Injected || x.Faults != 1<<2|1<<3 {
			t.Errorf("recorded %+v", x)
		}
	})
}

func TestReset(t *testing.T) {
	for _, tt := range []struct {
		name   string
		during func(l *testLink, c, up *wiretest.Caller) (remove func()) // the request, and the injection
		status int
	}{
		{"next call on an open connection", func(l *testLink, c, up *wiretest.Caller) func() {
			remove := l.Add(1, toxic.Reset{Select: toxic.All})
			c.Send(wiretest.Get)
			return remove
		}, 0},
		{"waiting for the response", func(l *testLink, c, up *wiretest.Caller) func() {
			c.Send(wiretest.Get)
			up.Expect(wiretest.Get)
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 0},
		{"in the response", func(l *testLink, c, up *wiretest.Caller) func() {
			c.Send(wiretest.Get)
			up.Expect(wiretest.Get)
			up.Send(wiretest.OK[:len(wiretest.OK)-1])
			c.Expect(wiretest.OK[:len(wiretest.OK)-1])
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 200},
		{"in the request", func(l *testLink, c, up *wiretest.Caller) func() {
			c.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
			up.Expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 0},
		{"in a delay", func(l *testLink, c, up *wiretest.Caller) func() {
			l.Add(1, toxic.Latency{Delay: time.Hour, Select: toxic.All})
			c.Send(wiretest.Get)
			wiretest.Eventually(l.T, "it begins", func() bool { return l.InFlight() == 1 })
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 0},
		{"in a tunnel", func(l *testLink, c, up *wiretest.Caller) func() {
			c.Send(wiretest.Get)
			up.Expect(wiretest.Get)
			up.Send("HTTP/1.1 101 X\r\n\r\n")
			c.Expect("HTTP/1.1 101 X\r\n\r\n")
			c.CloseWrite()
			if err := up.End(); err != nil {
				l.T.Errorf("the dependency saw %v, want a FIN", err)
			}
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 101},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := wiretest.NewDependency(t)
			l := listen(t, d.Address())
			c, up := warm(l, d)
			remove := tt.during(l, c, up)
			if err := c.End(); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the caller saw %v, want a reset", err)
			}
			if x := l.Next(); x.Ending != evidence.Broken || x.Status != tt.status || x.Faults != 1<<1 {
				t.Errorf("recorded %+v", x)
			}
			remove()
		})
	}
	t.Run("healed", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		l.Add(1, toxic.Reset{Select: toxic.All})()
		untouched(l, c, up)
	})
}

func TestPartition(t *testing.T) {
	partition := func(l *testLink) (heal func()) { return l.Add(6, toxic.Partition{Select: toxic.All}) }
	held := func(l *testLink) {
		l.T.Helper()
		if x := l.Next(); x.Ending != evidence.Answered || x.Status != 200 || x.Faults != 1<<6 {
			l.T.Errorf("recorded %+v", x)
		}
	}

	t.Run("new connection", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		heal := partition(l)
		c := l.Dial() // accepted
		c.Send(wiretest.Get)
		c.Silent()
		heal()
		up := d.Take()
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		held(l)
	})

	t.Run("open connection", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		heal := partition(l)
		c.Send(wiretest.Get)
		up.Silent()
		heal()
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		held(l)
		untouched(l, c, up)
	})

	t.Run("response on its way", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		heal := partition(l)
		up.Send(wiretest.OK)
		c.Silent()
		heal()
		c.Expect(wiretest.OK)
		held(l)
	})

	t.Run("in the middle of both bodies", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		size := 4 << 20 // past what the relay and the kernel take in
		head := fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
		response := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		c.Send(head + "ab")
		up.Expect(head + "ab")
		up.Send(response + "cd")
		c.Expect(response + "cd")
		heal := partition(l)
		go io.WriteString(c, strings.Repeat("x", size-2))
		go io.WriteString(up, strings.Repeat("y", size-2))
		c.Silent()
		up.Silent()
		heal()
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, err := io.ReadAll(io.LimitReader(up.In, int64(size-2)))
			if err != nil || string(got) != strings.Repeat("x", size-2) {
				t.Errorf("the dependency got %d bytes, %v", len(got), err)
			}
		}()
		c.Expect(strings.Repeat("y", size-2))
		<-done
		held(l)
	})

	t.Run("the dependency closes behind its response", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		heal := partition(l)
		up.Send("HTTP/1.0 200 OK\r\n\r\nall of it")
		up.Close()
		c.Silent()
		heal()
		c.Expect("HTTP/1.0 200 OK\r\n\r\nall of it")
		if err := c.End(); err != nil {
			t.Errorf("the caller saw %v, want a FIN", err)
		}
		held(l)
	})

	t.Run("the dependency dies", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		heal := partition(l)
		transport.Reset(up.TCPConn)
		c.Silent()
		heal()
		if err := c.End(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller saw %v, want a reset", err)
		}
		if x := l.Next(); x.Ending != evidence.Failed || x.Faults != 1<<6 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("the caller leaves", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		heal := partition(l)
		c.Send(wiretest.Get)
		wiretest.Eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		c.Close()
		if x := l.Next(); x.Ending != evidence.CallerGone || x.Faults != 1<<6 {
			t.Errorf("recorded %+v", x)
		}
		heal()
		if err := up.End(); err != nil {
			t.Errorf("the dependency saw %v, want a FIN and no request", err)
		}
	})

	t.Run("the caller leaves when there is no room for more", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, _ := warm(l, d)
		partition(l)
		size := maxBuffer + 1000 // fills the relay's buffer, and the rest reaches its socket
		c.Send(fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", 2*size, strings.Repeat("x", size)))
		wiretest.Eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		c.Close()
		if x := l.Next(); x.Ending != evidence.CallerGone || x.Faults != 1<<6 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("a tunnel", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		c.Send(wiretest.Get)
		up.Expect(wiretest.Get)
		up.Send("HTTP/1.1 101 X\r\n\r\n")
		c.Expect("HTTP/1.1 101 X\r\n\r\n")
		heal := partition(l)
		c.Send("ping")
		up.Send("pong")
		c.CloseWrite()
		up.CloseWrite()
		c.Silent()
		up.Silent()
		heal()
		c.Expect("pong")
		up.Expect("ping")
		if errC, errUp := c.End(), up.End(); errC != nil || errUp != nil {
			t.Errorf("the ends are %v and %v, want FINs", errC, errUp)
		}
		if x := l.Next(); x.Ending != evidence.Answered || x.Status != 101 || x.Faults != 1<<6 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("one of two heals", func(t *testing.T) {
		d := wiretest.NewDependency(t)
		l := listen(t, d.Address())
		c, up := warm(l, d)
		first, second := partition(l), partition(l)
		c.Send(wiretest.Get)
		first()
		first() // again means nothing
		up.Silent()
		second()
		up.Expect(wiretest.Get)
		up.Send(wiretest.OK)
		c.Expect(wiretest.OK)
		held(l)
	})
}

// TestOnlyWhatMatches injects with a match on one of two paths.
func TestOnlyWhatMatches(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	c, up := warm(l, d)
	l.Add(0, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 1, Match: &toxic.Match{Method: "GET", Path: "/pay/*", Header: map[string]string{"x-tier": "gold"}}}})
	untouched(l, c, up) // GET /pay
	gold := "GET /pay/7?a=b HTTP/1.1\r\nHost: a\r\nX-Tier: gold\r\n\r\n"
	c.Send(gold)
	c.Expect("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	if x := l.Next(); x.Path != "/pay/7" || x.Ending != evidence.Injected || x.Faults != 1 {
		t.Errorf("recorded %+v", x)
	}
	untouched(l, c, up)
}

// TestAnswersKeepTheOrderOfPipelinedRequests: ours must not overtake the
// dependency's.
func TestAnswersKeepTheOrderOfPipelinedRequests(t *testing.T) {
	d := wiretest.NewDependency(t)
	l := listen(t, d.Address())
	l.Add(0, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 1, Match: &toxic.Match{Path: "/b"}}})
	b := strings.Replace(wiretest.Get, "/pay", "/b", 1)
	const rounds = 200
	c := l.Dial()
	go io.WriteString(c, strings.Repeat(wiretest.Get+b, rounds))
	up := d.Take()
	go func() {
		for range rounds {
			up.Expect(wiretest.Get)
			up.Send(wiretest.OK)
		}
	}()
	for range rounds {
		c.Expect(wiretest.OK)
		c.Expect("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		l.Next()
		l.Next()
	}
}
