package load

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/wire"
)

// A peer that goes away answers what it has begun. What it says it has not is
// sent again on another connection, with the time at which it was due.
func TestHTTP2GoAway(t *testing.T) {
	for _, transport := range everyTransport(t) {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			var conns atomic.Int64
			var mu sync.Mutex
			var later []uint32
			peer := listen(t, func(c net.Conn) {
				first := conns.Add(1) == 1
				asked(noSettings, func(c net.Conn, stream uint32) bool {
					switch {
					case !first:
						mu.Lock()
						later = append(later, stream)
						mu.Unlock()
						io.WriteString(c, frame(headers, 5, stream, status404))
					case stream == 9:
						io.WriteString(c, frame(goAway, 0, 0, number(5)+number(0)))
						for _, s := range []uint32{5, 1, 3} {
							io.WriteString(c, frame(headers, 5, s, status200))
						}
					}
					return true // the client closes
				})(c)
			})
			samples := mustCollect(t, Plan{Schedule: at(0, 0, 0, 0, 0), Run: 1, Loops: 1, MaxConns: 1, Transport: transport, Routes: []Route{h2(peer.addr)}})
			for i, want := range []int{200, 200, 200, 404, 404} {
				if s := samples[i]; s.Status != want || s.Intended != 0 {
					t.Errorf("arrival %d: got %v %d, due at %v, want %d, due at 0", i+1, s.Outcome, s.Status, s.Intended, want)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if conns.Load() != 2 || !slices.Equal(later, []uint32{1, 3}) {
				t.Errorf("%d connections, and streams %v on the second; want 2, and 1 and 3", conns.Load(), later)
			}
		})
	}
}

// heard counts how often each request came, by its id.
type heard struct {
	mu    sync.Mutex
	times map[string]int
}

func (h *heard) hear(payload string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := wire.NewBlockReader()
	if _, err := b.Read([]byte(payload), wire.WantFields); err != nil {
		return 0
	}
	id, _ := b.Fields().Get("x-request-id")
	if h.times == nil {
		h.times = map[string]int{}
	}
	h.times[string(id)]++
	return h.times[string(id)]
}

// A server that takes nothing has each request three times, and not for ever,
// whichever way it says so, and in the closed model too.
func TestHTTP2NothingTaken(t *testing.T) {
	const n = 20
	for name, refusal := range map[string]func(stream uint32) string{
		"goes away": func(uint32) string { return frame(goAway, 0, 0, number(0)+number(0)) },
		"refuses":   func(stream uint32) string { return frame(reset, 0, stream, number(wire.CodeRefused)) },
	} {
		for _, closed := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", closed"}[closed], func(t *testing.T) {
				t.Parallel()
				var h heard
				addr := listen(t, frames(noSettings, func(c net.Conn, kind, _ byte, stream uint32, payload string) bool {
					if kind == headers {
						h.hear(payload)
						io.WriteString(c, refusal(stream))
					}
					return true
				})).addr
				p := Plan{Schedule: together(n), Run: 1, Loops: 1, MaxConns: 3, Streams: 4, Routes: []Route{h2(addr)}}
				if closed {
					p.Schedule, p.Closed = nil, &Closed{Connections: 3, Requests: n}
				}
				samples, err := collect(t, t.Context(), p, time.Now())
				if err != nil || len(samples) != n {
					t.Fatalf("%d samples, error %v", len(samples), err)
				}
				for _, s := range samples {
					if s.Outcome != Reset {
						t.Errorf("arrival %d: got %v", s.ID, s.Outcome)
					}
				}
				h.mu.Lock()
				defer h.mu.Unlock()
				most := 0
				for _, times := range h.times {
					most = max(most, times)
				}
				if len(h.times) != n || most != maxAttempts {
					t.Errorf("heard of %d requests, of one of them %d times; want %d, and %d times at most", len(h.times), most, n, maxAttempts)
				}
			})
		}
	}
}

// A server that takes a few requests on each connection, and then says which,
// has all of them taken in the end, each once.
func TestHTTP2FewOnEachConnection(t *testing.T) {
	const n, each = 200, 3
	transports := everyTransport(t)
	for _, tt := range []struct {
		name   string
		closed bool
		body   bool
	}{{"open", false, false}, {"closed", true, false}, {"with bodies", false, true}} {
		for _, transport := range transports {
			t.Run(tt.name+"/"+transport, func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex
				extracted := 0
				addr := listen(t, func(c net.Conn) {
					began := 0
					frames(noSettings, func(c net.Conn, kind, _ byte, stream uint32, _ string) bool {
						if kind != headers {
							return true
						}
						switch began++; {
						case began == each:
							io.WriteString(c, frame(goAway, 0, 0, number(stream)+number(0)))
							fallthrough
						case began < each:
							mu.Lock()
							extracted++
							mu.Unlock()
							io.WriteString(c, frame(headers, 5, stream, status200))
						}
						return true
					})(c)
				}).addr
				stats := NewStats(1, time.Now())
				p := Plan{Schedule: together(n), Run: 1, Loops: 1, MaxConns: 4, Streams: 10, Transport: transport, Stats: stats, Routes: []Route{h2(addr)}}
				if tt.body {
					p.Routes[0].Method, p.Routes[0].Body = "POST", make([]byte, 20_000)
				}
				if tt.closed {
					p.Schedule, p.Closed = nil, &Closed{Connections: 4, Requests: n}
				}
				samples, err := collect(t, t.Context(), p, time.Now())
				if err != nil || len(samples) != n {
					t.Fatalf("%d samples, error %v", len(samples), err)
				}
				for _, s := range samples {
					if s.Outcome != OK {
						t.Errorf("arrival %d: got %v", s.ID, s.Outcome)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				if got := stats.Read().Resent; extracted != n || got == 0 {
					t.Errorf("%d were taken and %d sent again, want %d and some", extracted, got, n)
				}
			})
		}
	}
}

// Go's server refuses streams above its bound as long as that is not known: all
// are answered in the end, however many connections find it out.
func TestHTTP2RefusedByGo(t *testing.T) {
	const n = 1000
	for _, tt := range []struct{ conns, each int }{{1, 0}, {20, 0}, {20, 5}} {
		t.Run(fmt.Sprintf("%d of %d requests", tt.conns, tt.each), func(t *testing.T) { refusedByGo(t, n, tt.conns, tt.each) })
	}
}

func refusedByGo(t *testing.T, n, conns, each int) {
	peer := serveHTTP2(t, func(http.ResponseWriter, *http.Request) { time.Sleep(time.Millisecond) }, func(s *http.Server) {
		s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 2}
	})
	for _, s := range mustCollect(t, Plan{Schedule: together(n), Run: 1, Loops: 1, MaxConns: conns, ConnRequests: each, Routes: []Route{h2(peer.addr)}}) {
		if s.Outcome != OK {
			t.Errorf("arrival %d: got %v", s.ID, s.Outcome)
		}
	}
}

// What was refused when the run is stopped stays so.
func TestHTTP2RefusedWhenHalted(t *testing.T) {
	asking, refuse := make(chan bool), make(chan bool)
	s := stepRoute(t, h2(listen(t, asked(noSettings, func(c net.Conn, stream uint32) bool {
		asking <- true
		<-refuse
		io.WriteString(c, frame(goAway, 0, 0, number(0)+number(0)))
		return true
	})).addr))
	s.due()
	go func() {
		<-asking
		s.halt()
		refuse <- true
	}()
	s.until("it is observed", s.answered(1))
	if got := s.samples[0]; got.Outcome != Unsent || got.Sent != 0 || s.unfinished != 0 {
		t.Errorf("got %+v, %d unfinished; want unsent", got, s.unfinished)
	}
}

// What comes back to the queue does not wait there while a connection has room.
func TestHTTP2SentAgainAtOnce(t *testing.T) {
	s := stepRoute(t, h2(listen(t, replies(frame(headers, 5, 1, status200))).addr))
	s.due()
	s.until("the connection is open", s.answered(1))
	p, now := &s.pools[0], s.clock.now()
	p.limit = 1
	s.unfinished++
	s.requeue(p, arrival{id: 2, intended: now, resend: &resend{prepared: &s.routes[0]}}, now)
	s.until("it is answered", s.answered(2))
	if got := s.samples[1]; got.Outcome != OK || p.queue.size != 0 || s.unfinished != 0 {
		t.Errorf("got %v, %d queued, %d unfinished", got.Outcome, p.queue.size, s.unfinished)
	}
}
