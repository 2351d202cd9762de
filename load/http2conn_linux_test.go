package load

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/wire"
)

// h2 is a route over HTTP/2 that takes its time.
func h2(addr string) Route { return Route{Addr: addr, Protocol: HTTP2, Timeout: patient} }

// On one connection, what happens to one stream happens to no other: of each
// four one is never answered, one is reset, one is malformed and one is well.
func TestHTTP2StreamsAreApart(t *testing.T) {
	for _, transport := range everyTransport(t) {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			const n = 60
			var cancelled, blamed atomic.Int64
			peer := listen(t, frames(noSettings, func(c net.Conn, kind, _ byte, stream uint32, payload string) bool {
				switch {
				case kind == reset && payload == number(wire.CodeCancel):
					cancelled.Add(1)
				case kind == reset && payload == number(wire.CodeProtocol):
					blamed.Add(1)
				case kind != headers || stream/2%4 == 0:
				case stream/2%4 == 1:
					io.WriteString(c, frame(reset, 0, stream, number(2)))
				case stream/2%4 == 2:
					io.WriteString(c, frame(data, 1, stream, "no head"))
				default:
					io.WriteString(c, frame(headers, 5, stream, status404))
				}
				return true
			}))
			short := h2(peer.addr)
			short.Timeout = 2 * brief
			times := append(make(listed, n), 4*brief) // the last one keeps the connection until all is said
			got := map[Outcome]int{}
			for _, s := range mustCollect(t, Plan{Schedule: times, Run: 1, Loops: 1, Transport: transport, MaxConns: 1, Streams: n, Routes: []Route{short}}) {
				got[s.Outcome]++
			}
			want := map[Outcome]int{TimedOut: n/4 + 1, Reset: n / 4, Malformed: n / 4, ClientError: n / 4}
			if fmt.Sprint(got) != fmt.Sprint(want) || peer.accepted.Load() != 1 {
				t.Errorf("got %v on %d connections, want %v on one", got, peer.accepted.Load(), want)
			}
			if cancelled.Load() < n/4 || blamed.Load() != n/4 {
				t.Errorf("the peer heard of %d cancelled and %d malformed, want %d of each", cancelled.Load(), blamed.Load(), n/4)
			}
		})
	}
}

// A stream that is cancelled leaves its connection and its header table in
// order: the answer that comes too late is no answer to another.
func TestHTTP2LateAnswer(t *testing.T) {
	addr := listen(t, frames(noSettings, func(c net.Conn, kind, _ byte, stream uint32, payload string) bool {
		switch {
		case kind == reset && payload == number(wire.CodeCancel):
			io.WriteString(c, onStream(stream, frame(headers, 4, 1, "\x48\x03418"), frame(data, 1, 1, "late"))) // :status 418 is remembered
		case kind == headers && stream > 1:
			io.WriteString(c, frame(headers, 5, stream, "\xbe")) // the newest entry
		}
		return true
	})).addr
	route := h2(addr)
	route.Timeout = brief
	samples := mustCollect(t, Plan{Schedule: at(0, 3*brief), Run: 1, Loops: 1, MaxConns: 1, Routes: []Route{route}})
	if samples[0].Outcome != TimedOut || samples[1].Status != 418 {
		t.Errorf("got %v and %v %d, want timed_out and 418", samples[0].Outcome, samples[1].Outcome, samples[1].Status)
	}
}

// The peer's bound on streams is obeyed once it is known, also when it changes.
func TestHTTP2PeerBoundsStreams(t *testing.T) {
	const n, bound = 200, 3
	var now, most atomic.Int64
	peer := serveHTTP2(t, func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(time.Millisecond)
		now.Add(-1)
	}, func(s *http.Server) { s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: bound} })
	times := make(listed, 1, n) // one to open the connection, the others when its settings are there
	for range n - 1 {
		times = append(times, brief)
	}
	for _, s := range mustCollect(t, Plan{Schedule: times, Run: 1, Loops: 1, MaxConns: 1, Routes: []Route{h2(peer.addr)}}) {
		if s.Outcome != OK {
			t.Fatalf("arrival %d: got %v", s.ID, s.Outcome)
		}
	}
	if most.Load() != bound || peer.accepted.Load() != 1 {
		t.Errorf("%d at once on %d connections, want %d on one", most.Load(), peer.accepted.Load(), bound)
	}
}

// bodied is a server that lets bodies come through small windows, of streams and
// of the connection, and refuses what does not keep to them.
func bodied(length int) func(net.Conn) {
	return func(c net.Conn) {
		const first, step, connFirst = 1000, 700, 65_535
		left, got, conn := map[uint32]int{}, map[uint32]int{}, connFirst
		acked := false
		frames(frame(settings, 0, 0, setting(4, first)), func(c net.Conn, kind, flags byte, stream uint32, payload string) bool {
			switch {
			case kind == settings && flags == 1:
				acked = true
			case kind == headers && flags&1 != 0: // without a body: it waits for the settings to be known
				io.WriteString(c, frame(headers, 5, stream, status200))
			case kind == headers:
				left[stream] = first
			case kind == data:
				left[stream] -= len(payload)
				got[stream] += len(payload)
				conn -= len(payload)
				switch {
				case !acked || left[stream] < 0 || conn < 0 || len(payload) > wire.MaxFrame:
					io.WriteString(c, frame(headers, 5, stream, status500))
				case flags&1 != 0 && got[stream] == length:
					io.WriteString(c, frame(headers, 5, stream, status200))
				case flags&1 != 0:
					io.WriteString(c, frame(headers, 5, stream, status404))
				case left[stream] == 0:
					left[stream] = step
					io.WriteString(c, frame(windowUpdate, 0, stream, number(step)))
				}
				if conn == 0 {
					conn = 10_000
					io.WriteString(c, frame(windowUpdate, 0, 0, number(10_000)))
				}
			}
			return true
		})(c)
	}
}

// A body goes as the windows allow, of its stream and of the connection.
func TestHTTP2Windows(t *testing.T) {
	const n, length = 4, 50_000 // together above the connection's 65,535
	for _, transport := range everyTransport(t) {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			get := h2(listen(t, bodied(length)).addr)
			post := get
			post.Method, post.Body = "POST", []byte(strings.Repeat("x", length))
			p := Plan{Schedule: append(make(listed, 1), slices.Repeat(listed{brief}, n*2)...), Run: 1, Loops: 1, MaxConns: 1, Transport: transport, Routes: []Route{get, post}}
			for newPicker(p.Seed, p.Routes).route(1) != 0 { // the first has no body
				p.Seed++
			}
			for _, s := range mustCollect(t, p) {
				if s.Outcome != OK {
					t.Errorf("arrival %d on route %d: got %v %d", s.ID, s.Route, s.Outcome, s.Status)
				}
			}
		})
	}
}

// The first window can change under bodies that are under way, to less than
// nothing; what they may send counts from there.
func TestHTTP2FirstWindowChanges(t *testing.T) {
	const length = 100_000
	addr := listen(t, func(c net.Conn) {
		got := 0
		frames(noSettings, func(c net.Conn, kind, flags byte, stream uint32, payload string) bool {
			if kind != data {
				return true
			}
			if got += len(payload); got == 65_535 { // all of the first window
				io.WriteString(c, frame(windowUpdate, 0, 0, number(length)))
				io.WriteString(c, frame(settings, 0, 0, setting(4, 0))+frame(settings, 0, 0, setting(4, length)))
			}
			if flags&1 != 0 {
				io.WriteString(c, frame(headers, 5, stream, status200))
			}
			return true
		})(c)
	}).addr
	route := h2(addr)
	route.Method, route.Body = "POST", make([]byte, length)
	for _, s := range mustCollect(t, Plan{Schedule: at(0), Run: 1, Routes: []Route{route}}) {
		if s.Outcome != OK {
			t.Errorf("got %v", s.Outcome)
		}
	}
}

// A server may answer before it has the body. It is told that no more will
// come, as it gives no window for it either.
func TestHTTP2AnswerBeforeBody(t *testing.T) {
	const n = 20
	var told atomic.Int64
	addr := listen(t, frames(noSettings, func(c net.Conn, kind, _ byte, stream uint32, payload string) bool {
		switch {
		case kind == headers:
			io.WriteString(c, frame(headers, 5, stream, status404))
		case kind == reset && payload == number(wire.CodeCancel):
			told.Add(1)
		}
		return true
	})).addr
	route := h2(addr)
	route.Method, route.Body = "POST", make([]byte, 1<<20)
	for _, s := range mustCollect(t, Plan{Schedule: together(n), Run: 1, Loops: 1, MaxConns: 1, Streams: 3, Routes: []Route{route}}) {
		if s.Status != 404 {
			t.Errorf("arrival %d: got %v %d", s.ID, s.Outcome, s.Status)
		}
	}
	if told.Load() < n-3 { // the run may end before the last ones go out
		t.Errorf("the server was told of %d streams, want %d", told.Load(), n)
	}
}

// When half of the connection's window is taken, it is opened again.
func TestHTTP2OpensItsWindow(t *testing.T) {
	opened := make(chan string, 1)
	addr := listen(t, frames(noSettings, func(c net.Conn, kind, _ byte, stream uint32, payload string) bool {
		switch {
		case kind == headers:
			io.WriteString(c, onStream(stream, frame(headers, 4, 1, status200), frame(data, 1, 1, "1234567890")))
		case kind == windowUpdate && payload != number(connWindow-65_535):
			opened <- payload
		}
		return true
	})).addr
	s := stepRoute(t, h2(addr))
	s.due()
	s.until("the connection is open", s.answered(1))
	s.conns[0].http2.consumed = connWindow/2 - 3
	s.due()
	s.until("the second is answered", s.answered(2))
	if _, err := s.net.wait(0); err != nil { // an io_uring sends when it waits
		t.Fatal(err)
	}
	select {
	case got := <-opened:
		if want := number(connWindow/2 + 7); got != want {
			t.Errorf("opened by %x, want %x", got, want)
		}
	case <-time.After(patient):
		t.Error("it is not opened")
	}
}

// Of an io_uring, a send is done when the peer has answered only where it
// speaks when spoken to.
func TestHTTP2SendIsWaitedFor(t *testing.T) {
	g, err := prepare(Plan{Schedule: at(time.Hour), Run: 1, Loops: 1, Transport: IOURing, Routes: []Route{h2(listen(t, hang).addr)}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(g, 0, newClock(time.Now()), func(int, Sample) {})
	if err != nil {
		t.Skip(err)
	}
	defer l.close()
	l.start()
	defer func() { l.stopStripe() }()
	l.next.intended = l.clock.now()
	for len(l.conns) == 0 || l.conns[0].state != open {
		if err := l.turn(); err != nil {
			t.Fatal(err)
		}
	}
	if c := l.conns[0]; !c.sending {
		t.Error("what was sent first may be overwritten before it is gone")
	}
}

// counted counts what is sent.
type counted struct {
	transport
	sends int
}

func (c *counted) send(to *conn, p []byte) bool {
	c.sends++
	return c.transport.send(to, p)
}

// What one turn sends on a connection is sent at once.
func TestHTTP2SendsOncePerTurn(t *testing.T) {
	const n = 50
	s := stepRoute(t, h2(listen(t, replies(frame(headers, 5, 1, status200))).addr))
	s.due()
	s.until("the connection is open", s.answered(1))
	net := &counted{transport: s.net}
	s.net = net
	now := s.clock.now()
	s.next = arrival{id: 2, intended: now}
	s.stripe = &script{times: append(slices.Repeat([]time.Duration{now}, n-1), time.Hour)}
	if err := s.turn(); err != nil {
		t.Fatal(err)
	}
	for _, e := range s.conns[0].inFlight {
		if e.sent != s.conns[0].inFlight[0].sent {
			t.Errorf("sent at %v and at %v", s.conns[0].inFlight[0].sent, e.sent)
		}
	}
	if net.sends != 1 || len(s.conns) != 1 || len(s.conns[0].inFlight) != n {
		t.Errorf("%d requests took %d sends on %d connections, want one on one", len(s.conns[0].inFlight), net.sends, len(s.conns))
	}
	s.until("all are answered", s.answered(n+1))
}

// Ids of streams are not used twice: a connection that has none left is closed,
// and another takes its place.
func TestHTTP2StreamsRunOut(t *testing.T) {
	peer := listen(t, replies(frame(headers, 5, 1, status200)))
	s := stepRoute(t, h2(peer.addr))
	s.due()
	s.until("the connection is open", s.answered(1))
	s.conns[0].http2.next = wire.MaxStream - 2
	for i := range 3 {
		s.due()
		s.until("it is answered", s.answered(i+2))
	}
	for _, sample := range s.samples {
		if sample.Outcome != OK {
			t.Errorf("arrival %d: got %v", sample.ID, sample.Outcome)
		}
	}
	if got := peer.accepted.Load(); got != 2 || s.pools[0].open != 1 {
		t.Errorf("%d connections, %d of them open, want 2 and 1", got, s.pools[0].open)
	}
}

// What the plan allows a connection, it gets and no more, though several
// requests are under way on it.
func TestHTTP2ConnRequests(t *testing.T) {
	const n, each = 40, 7
	peer := listen(t, replies(frame(headers, 5, 1, status200)))
	for _, s := range mustCollect(t, Plan{Schedule: together(n), Run: 1, Loops: 1, MaxConns: 1, ConnRequests: each, Streams: 10, Routes: []Route{h2(peer.addr)}}) {
		if s.Outcome != OK {
			t.Errorf("arrival %d: got %v", s.ID, s.Outcome)
		}
	}
	if got := peer.accepted.Load(); got != 6 { // 40/7 = 5.7
		t.Errorf("%d connections for %d requests of which each may have %d, want 6", got, n, each)
	}
}

// moodyHTTP2 is a server that does what servers should not, by a draw per
// request.
func moodyHTTP2(t testing.TB, seed uint64) *peer {
	var conns atomic.Uint64
	return listen(t, func(c net.Conn) {
		rng := rand.New(rand.NewPCG(seed, conns.Add(1)))
		if rng.IntN(10) == 0 {
			return
		}
		var asked []uint32
		frames(frame(settings, 0, 0, setting(3, rng.Uint32N(20))+setting(4, rng.Uint32N(3000))), func(c net.Conn, kind, _ byte, stream uint32, _ string) bool {
			if kind != headers {
				return true
			}
			asked = append(asked, stream)
			stream = asked[rng.IntN(len(asked))] // maybe one that is over
			head, end := frame(headers, 4, stream, status200), frame(data, 1, stream, "end")
			switch rng.IntN(24) {
			case 0:
				io.WriteString(c, frame(goAway, 0, 0, number(stream)+number(0)))
			case 1:
				c.(*net.TCPConn).SetLinger(0)
				return false
			case 2:
				hang(c)
				return false
			case 3:
				io.WriteString(c, head[:5])
				return false
			case 4:
				io.WriteString(c, "nonsense of some length")
			case 5:
				io.WriteString(c, end)
			case 6:
				io.WriteString(c, head+head)
			case 7, 8, 9:
				io.WriteString(c, frame(reset, 0, stream, number(rng.Uint32N(14))))
			case 10, 11:
				io.WriteString(c, frame(settings, 0, 0, setting(3, rng.Uint32N(20))+setting(4, rng.Uint32N(3000))))
			case 12, 13:
				io.WriteString(c, frame(windowUpdate, 0, stream, number(1+rng.Uint32N(3000)))+frame(windowUpdate, 0, 0, number(1+rng.Uint32N(3000))))
			case 14: // it is never answered
			default:
				_, err := io.WriteString(c, head+end)
				return err == nil
			}
			return true
		})(c)
	})
}

// Whatever the service does, every arrival is observed once.
func TestHTTP2EachArrivalOnce(t *testing.T) {
	transports := everyTransport(t)
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 0))
			post := Route{Addr: moodyHTTP2(t, seed).addr, Protocol: HTTP2, Timeout: 20 * time.Millisecond, Method: "POST", Body: make([]byte, 5000)}
			get := post
			get.Method, get.Body = "", nil
			mustCollect(t, Plan{
				Schedule: arrivals.Constant(4000, 150*time.Millisecond), Seed: seed, Run: 1, Loops: 1 + rng.IntN(2), MaxConns: 2 + rng.IntN(10), Streams: 1 + rng.IntN(30),
				ConnRequests: rng.IntN(2) * 40, Grace: time.Duration(rng.IntN(200)) * time.Millisecond, Transport: transports[seed%uint64(len(transports))],
				Routes: []Route{get, post, {Addr: moodyHTTP2(t, seed+100).addr, Protocol: GRPC, Timeout: 40 * time.Millisecond}},
			})
		})
	}
}

// The closed model keeps each connection filled.
func TestHTTP2Closed(t *testing.T) {
	const n, conns, streams = 3000, 2, 10
	for _, transport := range everyTransport(t) {
		t.Run(transport, func(t *testing.T) {
			var now, most atomic.Int64
			peer := serveHTTP2(t, func(http.ResponseWriter, *http.Request) {
				for v := now.Add(1); ; {
					if old := most.Load(); v <= old || most.CompareAndSwap(old, v) {
						break
					}
				}
				time.Sleep(time.Millisecond)
				now.Add(-1)
			}, nil)
			samples, err := collect(t, t.Context(), Plan{Closed: &Closed{Connections: conns, Requests: n}, Run: 1, Loops: 1, Transport: transport, Streams: streams, Routes: []Route{h2(peer.addr)}}, time.Now())
			for _, s := range samples {
				if s.Outcome != OK {
					t.Fatalf("arrival %d: got %v", s.ID, s.Outcome)
				}
			}
			if err != nil || len(samples) != n || most.Load() != conns*streams || peer.accepted.Load() != conns {
				t.Errorf("%d samples (%v), %d at once on %d connections; want %d, %d on %d", len(samples), err, most.Load(), peer.accepted.Load(), n, conns*streams, conns)
			}
		})
	}
}

// In the steady state nothing is allocated, also by responses that have a
// status of the dynamic table or a literal one, and trailers; nor by requests
// that vary in length, nor by checks of a body.
func TestHTTP2DoesNotAllocate(t *testing.T) {
	const warm, measured = 5_000, 20_000
	serve := func(c net.Conn) {
		io.WriteString(c, noSettings)
		var answer [256]byte
		in := make([]byte, 64<<10)
		io.ReadFull(c, in[:24])
		have := 0
		for first := true; ; {
			n, err := c.Read(in[have:])
			if err != nil {
				return
			}
			have += n
			at := 0
			for have-at >= 9 {
				size := 9 + int(in[at])<<16 + int(in[at+1])<<8 + int(in[at+2])
				if have-at < size {
					break
				}
				if in[at+3] == headers {
					stream := in[at+5 : at+9]
					status := "\xbe"
					if first {
						status, first = "\x48\x03207", false
					}
					out := answer[:0]
					out = append(append(append(out, 0, 0, byte(len(status)), headers, 4), stream...), status...)
					out = append(append(append(out, 0, 0, 2, data, 0), stream...), "ok"...)
					out = append(append(append(out, 0, 0, byte(len(date)), headers, 5), stream...), date...)
					if _, err := c.Write(out); err != nil {
						return
					}
				}
				at += size
			}
			have = copy(in, in[at:have])
		}
	}
	plain := h2("")
	varying := plain
	varying.Path, varying.Headers = "/${seq}", [][2]string{{"x", "${rand:1-1000}"}}
	varying.Checks = []Check{{Want: "207"}, {Of: CheckBody, Test: Contains, Want: "k"}}
	transports := everyTransport(t)
	for i := range 2 * len(transports) {
		transport, route, name := transports[i/2], plain, "plain"
		if i%2 == 1 {
			route, name = varying, "varying"
		}
		t.Run(transport+"/"+name, func(t *testing.T) {
			route.Addr = listen(t, serve).addr
			var before, after runtime.MemStats
			n := 0
			err := Run(t.Context(), Plan{Schedule: arrivals.Constant(1e9, warm+measured), Run: 1, Loops: 1, MaxConns: 2, Transport: transport, Grace: patient, Routes: []Route{route}}, time.Now(), func(_ int, s Sample) {
				if s.Outcome != OK || s.Status != 207 {
					t.Errorf("arrival %d: %v %d", s.ID, s.Outcome, s.Status)
				}
				switch n++; n {
				case warm:
					runtime.ReadMemStats(&before)
				case warm + measured:
					runtime.ReadMemStats(&after)
				}
			})
			if err != nil || n != warm+measured {
				t.Fatalf("%d samples, error %v", n, err)
			}
			if got := after.Mallocs - before.Mallocs; got > measured/200 {
				t.Errorf("%d objects allocated during %d requests", got, measured)
			}
		})
	}
}

// A gRPC server on Go's own, as grpc-go cannot be had for a test alone: the
// frame in, the frame out, the status in the trailers.
func TestGRPC(t *testing.T) {
	const n = 100
	var wrong atomic.Int64
	peer := serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		id := r.Header.Get("X-Request-Id")
		want := "\x00\x00\x00\x00\x24\x0a\x22<>" + id // 4 + 32 = 0x24
		if err != nil || string(body) != strings.Replace(want, "<>", "", 1) && string(body) != want || r.Method != "POST" || r.Header.Get("Te") != "trailers" ||
			r.Header.Get("Content-Type") != "application/grpc" || r.Header.Get("Grpc-Timeout") != "30000000u" || r.Header.Get("Content-Length") != "" {
			wrong.Add(1)
		}
		w.Header().Set("Content-Type", "application/grpc")
		if r.URL.Path == "/shop.Shop/Refuse" {
			w.Header().Set("Grpc-Status", "3")
			w.Header().Set("Grpc-Message", "no such thing")
			return // trailers alone
		}
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		io.WriteString(w, "\x00\x00\x00\x00\x02ok")
		w.(http.Flusher).Flush()
		w.Header().Set("Grpc-Status", map[string]string{"/shop.Shop/Buy": "0", "/shop.Shop/Fail": "14"}[r.URL.Path])
		w.Header().Set("Grpc-Message", "so")
	}, nil)
	route := func(method string) Route {
		return Route{Addr: peer.addr, Protocol: GRPC, Path: "/shop.Shop/" + method, Body: []byte("\x0a\x22<>" + wire.Placeholder), Timeout: patient}
	}
	want := []int{200, 503, 400}
	for _, s := range mustCollect(t, Plan{Schedule: together(n), Run: 1, Loops: 1, Routes: []Route{route("Buy"), route("Fail"), route("Refuse")}}) {
		if s.Status != want[s.Route] {
			t.Errorf("route %d: got %v %d, want %d", s.Route, s.Outcome, s.Status, want[s.Route])
		}
	}
	if wrong.Load() > 0 || peer.accepted.Load() != 1 {
		t.Errorf("%d calls came otherwise than they were meant, on %d connections", wrong.Load(), peer.accepted.Load())
	}
}

func TestProtocolErrors(t *testing.T) {
	for _, tt := range []struct {
		route Route
		want  string
	}{
		{Route{Protocol: "h3"}, `protocol "h3" is not http1, h2 or grpc`},
		{Route{Protocol: GRPC, Method: "GET"}, "method GET: a gRPC call is a POST"},
		{Route{Protocol: HTTP2, Headers: [][2]string{{"Connection", "close"}}}, "header Connection: there is none in HTTP/2"},
	} {
		tt.route.Addr = "127.0.0.1:80"
		_, err := prepare(Plan{Schedule: together(1), Run: 1, Routes: []Route{tt.route}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want it to say %q", err, tt.want)
		}
	}
}
