package http

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
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
				if x.Status != tt.fault.Status[0] || x.Ending != evidence.Injected || x.Faults != 1<<5 || x.Extra().RetryAfter != tt.wantRetry {
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
