package proxy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// silent tells that nothing comes for a short while. It cannot fail on a busy
// machine; it can only miss something.
func (c *caller) silent() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	defer c.SetReadDeadline(time.Now().Add(patience))
	if b, err := c.in.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("got %q, %v; want nothing yet", b, err)
	}
}

// warm is a connection through l to d that has had an exchange.
func warm(l *link, d *dependency) (c, up *caller) {
	l.t.Helper()
	c = l.dial()
	c.send(get)
	up = d.accept()
	up.expect(get)
	up.send(ok)
	c.expect(ok)
	l.next()
	return c, up
}

// untouched is an exchange that nothing is done to.
func untouched(l *link, c, up *caller) {
	l.t.Helper()
	c.send(get)
	up.expect(get)
	up.send(ok)
	c.expect(ok)
	if x := l.next(); x.Ending != evidence.Answered || x.Status != 200 || x.Faults != 0 {
		l.t.Errorf("recorded %+v, want it untouched", x)
	}
}

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
		{name: "status alone", fault: toxic.Errors{Status: toxic.Statuses{503}}, request: get,
			want: "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"},
		{name: "body", fault: toxic.Errors{Status: toxic.Statuses{429}, Body: "slow down"}, request: get,
			want: "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 9\r\n\r\nslow down"},
		{name: "Retry-After is rounded up", fault: toxic.Errors{Status: toxic.Statuses{503}, RetryAfter: 1001 * time.Millisecond}, request: get,
			want: "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n", wantRetry: 2 * time.Second},
		{name: "HEAD", fault: toxic.Errors{Status: toxic.Statuses{500}, Body: "x"}, request: "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
			want: "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\n\r\n"},
		{name: "no body with 204", fault: toxic.Errors{Status: toxic.Statuses{204}}, request: get,
			want: "HTTP/1.1 204 No Content\r\n\r\n"},
		{name: "status without a name", fault: toxic.Errors{Status: toxic.Statuses{599}}, request: get,
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
			d := newDependency(t)
			l := listen(t, d.addr())
			c, up := warm(l, d) // open when it is injected
			tt.fault.Select = toxic.All
			remove := l.Add(5, tt.fault)
			for range 2 {
				c.send(tt.request)
				c.expect(tt.want)
				x := l.next()
				if x.Status != tt.fault.Status[0] || x.Ending != evidence.Injected || x.Faults != 1<<5 || x.RetryAfter != tt.wantRetry {
					t.Errorf("recorded %+v", x)
				}
				if (x.Payload != 0) != tt.wantPayload {
					t.Errorf("payload %d, want one: %v", x.Payload, tt.wantPayload)
				}
				if tt.wantClose {
					if err := c.end(); err != nil {
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
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		c.send(get)
		up.expect(get)
		up.send("HTTP/1.1 103 Early Hints\r\n\r\n") // does not make it too late
		c.expect("HTTP/1.1 103 Early Hints\r\n\r\n")
		remove := l.Add(0, fault)
		c.expect(answer)
		if err := up.end(); err != nil {
			t.Errorf("the dependency saw %v, want a FIN", err)
		}
		if x := l.next(); x.Ending != evidence.Injected || x.Status != 503 || x.Faults != 1 {
			t.Errorf("recorded %+v", x)
		}
		remove()
		c.send(get) // the caller's connection lives, with a new one behind it
		up = d.accept()
		up.expect(get)
		up.send(ok)
		c.expect(ok)
		l.next()
	})

	t.Run("in the request's body", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c := l.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
		up := d.accept()
		up.expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
		l.Add(0, fault)
		if err := up.end(); err != nil {
			t.Errorf("the dependency saw %v, want a FIN", err)
		}
		c.send("def" + get)
		c.expect(answer + answer)
		if x := l.next(); x.Ending != evidence.Injected || x.Method != "POST" || x.Payload == 0 {
			t.Errorf("recorded %+v", x)
		}
		l.next()
	})

	t.Run("too late", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		c.send(get)
		up.expect(get)
		up.send(ok[:len(ok)-1])
		c.expect(ok[:len(ok)-1])
		l.Add(0, fault)
		l.Add(1, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		up.send(ok[len(ok)-1:])
		c.expect(ok[len(ok)-1:])
		if x := l.next(); x.Ending != evidence.Answered || x.Status != 200 || x.Faults != 0 {
			t.Errorf("recorded %+v, want it untouched", x)
		}
	})

	t.Run("the dependency closes its idle connection meanwhile", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		l.Add(0, fault)
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
		eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		eventually(t, "it is being answered", func() bool { return l.answering() })
		up.Close()
		eventually(t, "the relay sees it", func() bool { return !l.connected() })
		c.send("b")
		c.expect(answer)
		if x := l.next(); x.Ending != evidence.Injected {
			t.Errorf("recorded %+v", x)
		}
	})
}

// answering tells whether an exchange is, or has been, answered.
func (l *link) answering() bool { return l.any(func(c *conn) bool { return c.x.answering }) }

// connected tells whether a connection has one to the dependency.
func (l *link) connected() bool { return l.any(func(c *conn) bool { return c.up != nil }) }

func (l *link) any(is func(*conn) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for each := range l.conns {
		c := each.(*conn)
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
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		l.Add(2, toxic.Latency{Delay: 40 * time.Millisecond, Select: toxic.All})
		l.Add(3, toxic.Latency{Delay: 20 * time.Millisecond, Select: toxic.All})
		c.send(get)
		up.expect(get)
		up.send(ok)
		c.expect(ok)
		// 40 ms + 20 ms
		if x := l.next(); x.Duration() < 60*time.Millisecond || x.Ending != evidence.Answered || x.Faults != 1<<2|1<<3 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("the rest is dropped when it heals", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		remove := l.Add(2, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		c.send(get)
		up.silent()
		remove()
		up.expect(get)
		up.send(ok)
		c.expect(ok)
		if x := l.next(); x.Ending != evidence.Answered || x.Faults != 1<<2 {
			t.Errorf("recorded %+v", x)
		}
		untouched(l, c, up)
	})

	t.Run("delays the response of a call in flight", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		c.send(get)
		up.expect(get)
		remove := l.Add(2, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		up.send(ok)
		c.silent()
		remove()
		c.expect(ok)
		if x := l.next(); x.Ending != evidence.Answered || x.Faults != 1<<2 {
			t.Errorf("recorded %+v", x)
		}
		c.send(get)
		up.expect(get)
		l.Add(2, toxic.Latency{Delay: 40 * time.Millisecond, Select: toxic.All})
		up.send(ok)
		c.expect(ok)
		if x := l.next(); x.Duration() < 40*time.Millisecond {
			t.Errorf("recorded %+v, want at least the delay", x)
		}
	})

	t.Run("a caller who leaves is seen meanwhile", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		l.Add(2, toxic.Latency{Delay: time.Hour, Select: toxic.All})
		c := l.dial()
		c.send(get)
		eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		c.Close()
		if x := l.next(); x.Ending != evidence.CallerGone || x.Faults != 1<<2 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("delays an answer", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		l.Add(2, toxic.Latency{Delay: 40 * time.Millisecond, Select: toxic.All})
		l.Add(3, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.All})
		c := l.dial()
		c.send(get)
		c.expect("HTTP/1.1 503")
		if x := l.next(); x.Duration() < 40*time.Millisecond || x.Ending != evidence.Injected || x.Faults != 1<<2|1<<3 {
			t.Errorf("recorded %+v", x)
		}
	})
}

func TestReset(t *testing.T) {
	for _, tt := range []struct {
		name   string
		during func(l *link, c, up *caller) (remove func()) // the request, and the injection
		status int
	}{
		{"next call on an open connection", func(l *link, c, up *caller) func() {
			remove := l.Add(1, toxic.Reset{Select: toxic.All})
			c.send(get)
			return remove
		}, 0},
		{"waiting for the response", func(l *link, c, up *caller) func() {
			c.send(get)
			up.expect(get)
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 0},
		{"in the response", func(l *link, c, up *caller) func() {
			c.send(get)
			up.expect(get)
			up.send(ok[:len(ok)-1])
			c.expect(ok[:len(ok)-1])
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 200},
		{"in the request", func(l *link, c, up *caller) func() {
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
			up.expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 0},
		{"in a delay", func(l *link, c, up *caller) func() {
			l.Add(1, toxic.Latency{Delay: time.Hour, Select: toxic.All})
			c.send(get)
			eventually(l.t, "it begins", func() bool { return l.InFlight() == 1 })
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 0},
		{"in a tunnel", func(l *link, c, up *caller) func() {
			c.send(get)
			up.expect(get)
			up.send("HTTP/1.1 101 X\r\n\r\n")
			c.expect("HTTP/1.1 101 X\r\n\r\n")
			c.CloseWrite()
			if err := up.end(); err != nil {
				l.t.Errorf("the dependency saw %v, want a FIN", err)
			}
			return l.Add(1, toxic.Reset{Select: toxic.All})
		}, 101},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDependency(t)
			l := listen(t, d.addr())
			c, up := warm(l, d)
			remove := tt.during(l, c, up)
			if err := c.end(); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the caller saw %v, want a reset", err)
			}
			if x := l.next(); x.Ending != evidence.Broken || x.Status != tt.status || x.Faults != 1<<1 {
				t.Errorf("recorded %+v", x)
			}
			remove()
		})
	}
	t.Run("healed", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		l.Add(1, toxic.Reset{Select: toxic.All})()
		untouched(l, c, up)
	})
}

func TestPartition(t *testing.T) {
	partition := func(l *link) (heal func()) { return l.Add(6, toxic.Partition{Select: toxic.All}) }
	held := func(l *link) {
		l.t.Helper()
		if x := l.next(); x.Ending != evidence.Answered || x.Status != 200 || x.Faults != 1<<6 {
			l.t.Errorf("recorded %+v", x)
		}
	}

	t.Run("new connection", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		heal := partition(l)
		c := l.dial() // accepted
		c.send(get)
		c.silent()
		heal()
		up := d.accept()
		up.expect(get)
		up.send(ok)
		c.expect(ok)
		held(l)
	})

	t.Run("open connection", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		heal := partition(l)
		c.send(get)
		up.silent()
		heal()
		up.expect(get)
		up.send(ok)
		c.expect(ok)
		held(l)
		untouched(l, c, up)
	})

	t.Run("response on its way", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		c.send(get)
		up.expect(get)
		heal := partition(l)
		up.send(ok)
		c.silent()
		heal()
		c.expect(ok)
		held(l)
	})

	t.Run("in the middle of both bodies", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		size := 4 << 20 // past what the relay and the kernel take in
		head := fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
		response := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		c.send(head + "ab")
		up.expect(head + "ab")
		up.send(response + "cd")
		c.expect(response + "cd")
		heal := partition(l)
		go io.WriteString(c, strings.Repeat("x", size-2))
		go io.WriteString(up, strings.Repeat("y", size-2))
		c.silent()
		up.silent()
		heal()
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, err := io.ReadAll(io.LimitReader(up.in, int64(size-2)))
			if err != nil || string(got) != strings.Repeat("x", size-2) {
				t.Errorf("the dependency got %d bytes, %v", len(got), err)
			}
		}()
		c.expect(strings.Repeat("y", size-2))
		<-done
		held(l)
	})

	t.Run("the dependency closes behind its response", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		c.send(get)
		up.expect(get)
		heal := partition(l)
		up.send("HTTP/1.0 200 OK\r\n\r\nall of it")
		up.Close()
		c.silent()
		heal()
		c.expect("HTTP/1.0 200 OK\r\n\r\nall of it")
		if err := c.end(); err != nil {
			t.Errorf("the caller saw %v, want a FIN", err)
		}
		held(l)
	})

	t.Run("the dependency dies", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		c.send(get)
		up.expect(get)
		heal := partition(l)
		reset(up.TCPConn)
		c.silent()
		heal()
		if err := c.end(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the caller saw %v, want a reset", err)
		}
		if x := l.next(); x.Ending != evidence.Failed || x.Faults != 1<<6 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("the caller leaves", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		heal := partition(l)
		c.send(get)
		eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		c.Close()
		if x := l.next(); x.Ending != evidence.CallerGone || x.Faults != 1<<6 {
			t.Errorf("recorded %+v", x)
		}
		heal()
		if err := up.end(); err != nil {
			t.Errorf("the dependency saw %v, want a FIN and no request", err)
		}
	})

	t.Run("the caller leaves when there is no room for more", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, _ := warm(l, d)
		partition(l)
		size := maxBuffer + 1000 // fills the relay's buffer, and the rest reaches its socket
		c.send(fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", 2*size, strings.Repeat("x", size)))
		eventually(t, "it begins", func() bool { return l.InFlight() == 1 })
		c.Close()
		if x := l.next(); x.Ending != evidence.CallerGone || x.Faults != 1<<6 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("a tunnel", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		c.send(get)
		up.expect(get)
		up.send("HTTP/1.1 101 X\r\n\r\n")
		c.expect("HTTP/1.1 101 X\r\n\r\n")
		heal := partition(l)
		c.send("ping")
		up.send("pong")
		c.CloseWrite()
		up.CloseWrite()
		c.silent()
		up.silent()
		heal()
		c.expect("pong")
		up.expect("ping")
		if errC, errUp := c.end(), up.end(); errC != nil || errUp != nil {
			t.Errorf("the ends are %v and %v, want FINs", errC, errUp)
		}
		if x := l.next(); x.Ending != evidence.Answered || x.Status != 101 || x.Faults != 1<<6 {
			t.Errorf("recorded %+v", x)
		}
	})

	t.Run("one of two heals", func(t *testing.T) {
		d := newDependency(t)
		l := listen(t, d.addr())
		c, up := warm(l, d)
		first, second := partition(l), partition(l)
		c.send(get)
		first()
		first() // again means nothing
		up.silent()
		second()
		up.expect(get)
		up.send(ok)
		c.expect(ok)
		held(l)
	})
}

// TestOnlyWhatMatches injects with a match on one of two paths.
func TestOnlyWhatMatches(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	c, up := warm(l, d)
	l.Add(0, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 1, Match: &toxic.Match{Method: "GET", Path: "/pay/*", Header: map[string]string{"x-tier": "gold"}}}})
	untouched(l, c, up) // GET /pay
	gold := "GET /pay/7?a=b HTTP/1.1\r\nHost: a\r\nX-Tier: gold\r\n\r\n"
	c.send(gold)
	c.expect("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	if x := l.next(); x.Path != "/pay/7" || x.Ending != evidence.Injected || x.Faults != 1 {
		t.Errorf("recorded %+v", x)
	}
	untouched(l, c, up)
}

// TestAnswersKeepTheOrderOfPipelinedRequests: ours must not overtake the
// dependency's.
func TestAnswersKeepTheOrderOfPipelinedRequests(t *testing.T) {
	d := newDependency(t)
	l := listen(t, d.addr())
	l.Add(0, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 1, Match: &toxic.Match{Path: "/b"}}})
	b := strings.Replace(get, "/pay", "/b", 1)
	const rounds = 200
	c := l.dial()
	go io.WriteString(c, strings.Repeat(get+b, rounds))
	up := d.accept()
	go func() {
		for range rounds {
			up.expect(get)
			up.send(ok)
		}
	}()
	for range rounds {
		c.expect(ok)
		c.expect("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		l.next()
		l.next()
	}
}
