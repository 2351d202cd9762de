package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/wire"
)

// moody is a server that does what servers should not, by a draw per request.
func moody(t testing.TB, seed uint64) *peer {
	var conns atomic.Uint64
	return listen(t, func(c net.Conn) {
		rng := rand.New(rand.NewPCG(seed, conns.Add(1)))
		if rng.IntN(10) == 0 {
			return
		}
		each(func(c net.Conn, _ *http.Request) bool {
			switch rng.IntN(12) {
			case 0:
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
				return false
			case 1:
				c.(*net.TCPConn).SetLinger(0)
				return false
			case 2:
				hang(c)
				return false
			case 3:
				io.WriteString(c, "nonsense\r\n")
				return true
			case 4:
				io.WriteString(c, okAnswer)
				return false // though it has not announced it
			case 5:
				io.WriteString(c, okAnswer+"and more")
				return true
			case 6:
				io.WriteString(c, "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				return true
			case 7:
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nuntil the end")
				return false
			default:
				_, err := io.WriteString(c, okAnswer)
				return err == nil
			}
		})(c)
	})
}

// Whatever the service does, every arrival is observed once: collect and
// mustCollect see to it.
func TestEachArrivalOnce(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 0))
			s := arrivals.Stages([]arrivals.Stage{{To: 4000, Over: 50 * time.Millisecond, Hold: 50 * time.Millisecond}}, arrivals.Spacing{Poisson: seed%2 == 1, Seed: seed})
			closed, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			closed.Close()
			mustCollect(t, Plan{
				Schedule: s, Seed: seed, Run: 1, Loops: 1 + rng.IntN(3), MaxConns: 1 + rng.IntN(20), Grace: time.Duration(rng.IntN(200)) * time.Millisecond,
				Routes: []Route{
					{Addr: moody(t, seed).addr, Timeout: 20 * time.Millisecond, Weight: 5},
					{Addr: moody(t, seed+100).addr, Timeout: 40 * time.Millisecond, Method: "POST", Body: []byte("x")},
					{Addr: closed.Addr().String(), Timeout: 20 * time.Millisecond},
				},
			})
		})
	}
}

// Wherever a run is cut, what was due is observed, and what was not is not.
func TestEachDueArrivalOnceWhenCancelled(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 0))
			p := Plan{
				Schedule: arrivals.Constant(2000, time.Minute), Run: 1, Loops: 1 + rng.IntN(3), MaxConns: 1 + rng.IntN(10), Grace: 20 * time.Millisecond,
				Routes: []Route{{Addr: moody(t, seed).addr, Timeout: 20 * time.Millisecond}},
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			enough := errors.New("enough")
			var before, after time.Duration
			start := time.Now()
			timer := time.AfterFunc(time.Duration(rng.IntN(150))*time.Millisecond, func() {
				before = time.Since(start)
				cancel(enough)
			})
			defer timer.Stop()
			got, err := collect(t, ctx, p, start)
			after = time.Since(start)
			if !errors.Is(err, enough) {
				t.Errorf("got error %v, want the cause %v", err, enough)
			}
			for i := 0; ; i++ {
				due := time.Duration(i) * time.Second / 2000
				if due > before {
					break
				}
				if _, ok := got[uint64(i+1)]; !ok {
					t.Errorf("arrival %d, due at %v, was not observed, though the run was cancelled at %v", i+1, due, before)
				}
			}
			for id, s := range got {
				if s.Intended > after {
					t.Errorf("arrival %d, due at %v, was observed by %v", id, s.Intended, after)
				}
			}
		})
	}
}

// When ctx ends: what is in flight gets Grace, what waits is unsent at once,
// what is not due is never heard of.
func TestCancel(t *testing.T) {
	var inFlight sync.WaitGroup
	inFlight.Add(2)
	addr := listen(t, each(func(c net.Conn, _ *http.Request) bool {
		inFlight.Done()
		hang(c)
		return false
	})).addr
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		inFlight.Wait()
		cancel()
	}()
	times := make(listed, 20, 21) // due at once
	got, err := collect(t, ctx, Plan{
		Schedule: append(times, time.Hour), Run: 1, Loops: 1, MaxConns: 2, Grace: brief, Routes: []Route{{Addr: addr, Timeout: time.Hour}},
	}, time.Now())
	if err != context.Canceled {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	by := map[Outcome]int{}
	var stopped time.Duration
	for _, s := range got {
		by[s.Outcome]++
		if s.Outcome == Unsent {
			stopped = s.Done
		}
	}
	for _, s := range got {
		if s.Outcome == TimedOut && s.Done < stopped+brief {
			t.Errorf("in flight: given up %v after those in the queue, want %v of grace", s.Done-stopped, brief)
		}
	}
	if len(got) != 20 || by[TimedOut] != 2 || by[Unsent] != 18 {
		t.Errorf("got %v, want 2 timed_out, 18 unsent and nothing of the one due in an hour", by)
	}
}

func TestCancelWhileDialling(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(brief, cancel)
	defer timer.Stop()
	got, err := collect(t, ctx, Plan{Schedule: together(3), Run: 1, Loops: 1, Routes: []Route{{Addr: fullBacklog(t), Timeout: time.Hour}}}, time.Now())
	if err != context.Canceled || len(got) != 3 {
		t.Errorf("got %d samples, error %v", len(got), err)
	}
	for _, s := range got {
		if s.Outcome != Unsent {
			t.Errorf("got %v for a request that never had a connection, want unsent", s.Outcome)
		}
	}
}

// Gil Tene's example in small: a service that stands still for 300 ms of 3 s
// keeps a tenth of its callers waiting, though only one of them is being
// served. With 500 arrivals a second, 150 are due during the stall, and the
// k-th last of all response times is at least that of the arrival due k−1
// gaps after the stall's beginning: p99 of 1500, the 15th highest, ≥ 300 ms −
// 15·2 ms. A busy machine can only make it longer.
func TestNoCoordinatedOmission(t *testing.T) {
	const (
		hz    = 500
		total = 3 * time.Second
		stall = 300 * time.Millisecond
	)
	for _, conns := range []int{1, 64} { // all behind one, and each with its own
		t.Run(fmt.Sprint(conns, " connections"), func(t *testing.T) {
			var (
				begun time.Time // when the run did
				gate  sync.RWMutex
				once  sync.Once
			)
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if time.Since(begun) > time.Second {
					once.Do(func() {
						gate.Lock()
						time.Sleep(stall)
						gate.Unlock()
					})
				}
				gate.RLock()
				defer gate.RUnlock()
				io.WriteString(w, "ok")
			})}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			begun = time.Now()
			go server.Serve(l)
			defer server.Close()
			samples := mustCollect(t, Plan{Schedule: arrivals.Constant(hz, total), Run: 1, Loops: 1, MaxConns: conns, Routes: []Route{{Addr: l.Addr().String(), Timeout: patient}}})
			var response, service []time.Duration
			for _, s := range samples {
				if s.Outcome != OK {
					t.Fatalf("got %v", s.Outcome)
				}
				response, service = append(response, s.ResponseTime()), append(service, s.ServiceTime())
			}
			p99 := func(d []time.Duration) time.Duration { slices.Sort(d); return d[len(d)*99/100] }
			t.Logf("p99 response time %v, service time %v", p99(response), p99(service))
			if got, least := p99(response), stall-15*time.Second/hz; got < least {
				t.Errorf("p99 response time %v hides a stall of %v: want at least %v", got, stall, least)
			}
		})
	}
}

func TestConnectionsAreReused(t *testing.T) {
	const n = 20
	for _, tt := range []struct {
		name, answer string
		dials        int64
	}{
		{"keep-alive", okAnswer, 1},
		{"HTTP/1.0 with keep-alive", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", 1},
		{"a buffer filled to the byte", "HTTP/1.1 200 OK\r\nContent-Length: 65494\r\n\r\n" + strings.Repeat("x", 65494), 1}, // 42 + 65494 = 65536
		{"longer than a turn reads", "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + strings.Repeat("x", 3000000), 1},
		{"Connection: close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", n},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", n},
		{"more than was asked for", okAnswer + "surplus", n},
		{"101 that was asked for", "HTTP/1.1 101 Switching Protocols\r\n\r\n", n},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			peer := listen(t, says(tt.answer))
			for _, s := range mustCollect(t, Plan{Schedule: together(n), Run: 1, MaxConns: 1, Routes: []Route{{Addr: peer.addr, Timeout: patient, Headers: [][2]string{{"Upgrade", "x"}}}}}) {
				if s.Outcome != OK {
					t.Fatalf("got %v", s.Outcome)
				}
			}
			if got := peer.accepted.Load(); got != tt.dials {
				t.Errorf("%d requests took %d connections, want %d", n, got, tt.dials)
			}
		})
	}
}

// With c connections and a service that takes d, n arrivals take n/c turns: the
// last has waited for all but its own, and its wait counts.
func TestQueueingCounts(t *testing.T) {
	const n, conns, d = 10, 2, 30 * time.Millisecond
	var now, most atomic.Int64
	addr := listen(t, each(func(c net.Conn, _ *http.Request) bool {
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(d)
		now.Add(-1)
		_, err := io.WriteString(c, okAnswer)
		return err == nil
	})).addr
	samples := mustCollect(t, Plan{Schedule: together(n), Run: 1, Loops: 1, MaxConns: conns, Routes: []Route{{Addr: addr, Timeout: patient}}})
	for i, s := range samples {
		turn := time.Duration(i / conns)
		if s.Outcome != OK || s.SendLag() < turn*d || s.ServiceTime() < d || s.ResponseTime() < (turn+1)*d {
			t.Errorf("arrival %d: %v, send lag %v ≥ %v, service time %v ≥ %v, response time %v ≥ %v?",
				s.ID, s.Outcome, s.SendLag(), turn*d, s.ServiceTime(), d, s.ResponseTime(), (turn+1)*d)
		}
	}
	if most.Load() > conns {
		t.Errorf("%d requests at once on %d connections", most.Load(), conns)
	}
}

// What arrives at the server is what the samples say was sent, by id and route.
func TestRequestsCarryTheirID(t *testing.T) {
	const run = 0xfeedface
	type seen struct{ path, query string }
	var mu sync.Mutex
	requests := map[uint64]seen{}
	addr := listen(t, func(c net.Conn) {
		each(func(c net.Conn, r *http.Request) bool {
			id, ok := wire.ParseID([]byte(r.Header.Get("X-Call")), run)
			trace, traced := wire.ParseID([]byte(r.Header.Get("traceparent")), run)
			if !ok || !traced || trace != id {
				t.Errorf("X-Call %q, traceparent %q", r.Header.Get("X-Call"), r.Header.Get("traceparent"))
			}
			mu.Lock()
			if _, twice := requests[id]; twice {
				t.Errorf("request %d came twice", id)
			}
			requests[id] = seen{r.URL.Path, r.URL.RawQuery}
			mu.Unlock()
			_, err := io.WriteString(c, okAnswer)
			return err == nil
		})(c)
	}).addr
	p := Plan{
		Schedule: arrivals.Constant(1000, 500*time.Millisecond), Seed: 9, Run: run, Loops: 2, IDHeader: "X-Call",
		Routes: []Route{{Addr: addr, Path: "/a", Weight: 3, Timeout: patient}, {Addr: addr, Path: "/b?${id}", Timeout: patient}},
	}
	samples := mustCollect(t, p)
	pick := newPicker(p.Seed, p.Routes)
	mu.Lock()
	defer mu.Unlock()
	for _, s := range samples {
		want := seen{path: "/a"}
		if s.Route == 1 {
			want = seen{"/b", string(wire.AppendID(nil, wire.ID{Run: run, Seq: s.ID}))}
		}
		if got := requests[s.ID]; got != want || s.Outcome != OK || s.Route != pick.route(s.ID) {
			t.Fatalf("arrival %d on route %d, %v: the server saw %+v, want %+v", s.ID, s.Route, s.Outcome, got, want)
		}
	}
}

func TestRunOverIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Logf("this host has no IPv6 (%v): only the address is checked", err)
		a, err := addressOf(prepared(t, "[::1]:80").endpoints[0])
		if six, ok := a.to.(*unix.SockaddrInet6); err != nil || a.family != unix.AF_INET6 || !ok || six.Port != 80 || six.Addr[15] != 1 {
			t.Errorf("got %+v %v", a, err)
		}
		return
	}
	server := &http.Server{Handler: http.NotFoundHandler()}
	go server.Serve(l)
	defer server.Close()
	for _, s := range mustCollect(t, Plan{Schedule: together(3), Run: 1, Routes: []Route{{Addr: l.Addr().String(), Timeout: patient}}}) {
		if s.Outcome != ClientError {
			t.Errorf("got %v", s.Outcome)
		}
	}
}

func prepared(t *testing.T, addr string) *program {
	t.Helper()
	g, err := prepare(Plan{Schedule: together(1), Run: 1, Routes: []Route{{Addr: addr}}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A start in the future is waited for; one in the past is caught up with.
func TestStart(t *testing.T) {
	addr := listen(t, says(okAnswer)).addr
	for _, ahead := range []time.Duration{100 * time.Millisecond, -100 * time.Millisecond} {
		start := time.Now().Add(ahead)
		if ahead < 0 {
			start = start.Round(0) // even without a monotonic clock
		}
		n := 0
		err := Run(t.Context(), Plan{Schedule: at(0, 50*time.Millisecond), Run: 1, Loops: 1, Routes: []Route{{Addr: addr, Timeout: patient}}}, start, func(_ int, s Sample) {
			n++
			if s.Outcome != OK || s.SendLag() < 0 || s.SendLag() < -ahead-s.Intended {
				t.Errorf("start %v ahead: arrival %d %v with a send lag of %v", ahead, s.ID, s.Outcome, s.SendLag())
			}
		})
		if err != nil || n != 2 || time.Since(start) < 50*time.Millisecond {
			t.Errorf("start %v ahead: %d samples by %v, error %v", ahead, n, time.Since(start), err)
		}
	}
}

// In the steady state nothing is allocated: over 20,000 requests of a running
// load, client and server together stay below one object in 200 requests.
func TestRunDoesNotAllocate(t *testing.T) {
	addr := listen(t, saysAnything).addr
	const warm, measured = 5_000, 20_000
	var before, after runtime.MemStats
	n := 0
	err := Run(t.Context(), Plan{Schedule: arrivals.Constant(1e9, warm+measured), Run: 1, Loops: 1, MaxConns: 8, Grace: patient, Routes: []Route{{Addr: addr, Timeout: patient}}}, time.Now(), func(_ int, s Sample) {
		if s.Outcome != OK {
			t.Errorf("arrival %d: %v", s.ID, s.Outcome)
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
}

func TestShards(t *testing.T) {
	for _, tt := range []struct {
		loops, conns, want int
	}{
		{0, 0, runtime.GOMAXPROCS(0)}, {3, 0, 3}, {3, 2, 2}, {1, 100, 1}, {-1, 1, 1},
	} {
		if got := Shards(Plan{Loops: tt.loops, MaxConns: tt.conns}); got != tt.want {
			t.Errorf("loops %d, connections %d: got %d shards, want %d", tt.loops, tt.conns, got, tt.want)
		}
	}
	// A closed model leaves cores for who answers it, if that is on this machine.
	cores := runtime.GOMAXPROCS(0)
	for _, tt := range []struct {
		addr string
		want int
	}{
		{"127.0.0.1:80", max(1, cores/2)}, {"[::1]:80", max(1, cores/2)}, {"unix:/run/x.sock", max(1, cores/2)}, {"192.0.2.1:80", cores},
	} {
		p := Plan{Closed: &Closed{Connections: 64}, Routes: []Route{{Addr: "127.0.0.2:80"}, {Addr: tt.addr}}}
		if got := Shards(p); got != tt.want {
			t.Errorf("closed, %s: got %d shards, want %d", tt.addr, got, tt.want)
		}
	}
}

func TestConnectionsAreDealtOut(t *testing.T) {
	for conns := 1; conns < 40; conns++ {
		for loops := 1; loops < 9; loops++ {
			p := Plan{Loops: loops, MaxConns: conns}
			g := &program{Plan: p, shards: Shards(p)}
			sum := 0
			for k := range g.shards {
				if g.connsOf(k) < 1 {
					t.Errorf("loop %d of %d has none of %d connections", k, loops, conns)
				}
				sum += g.connsOf(k)
			}
			if sum != conns {
				t.Errorf("%d loops have %d connections, want %d", loops, sum, conns)
			}
		}
	}
}

func TestPlanErrors(t *testing.T) {
	good := Route{Name: "pay", Addr: "127.0.0.1:80"}
	with := func(change func(*Route)) []Route {
		r := good
		change(&r)
		return []Route{good, r}
	}
	for _, tt := range []struct {
		name string
		plan Plan
		want string
	}{
		{"no schedule", Plan{Routes: []Route{good}}, "needs a schedule"},
		{"no routes", Plan{Schedule: together(1)}, "no routes"},
		{"name instead of address", Plan{Schedule: together(1), Routes: with(func(r *Route) { r.Addr = "localhost:80" })}, `route 1 "pay": address "localhost:80" is neither ip:port nor unix:PATH`},
		{"bad path", Plan{Schedule: together(1), Routes: with(func(r *Route) { r.Path = "pay" })}, `route 1 "pay": path "pay"`},
		{"negative weight", Plan{Schedule: together(1), Routes: with(func(r *Route) { r.Weight = -1 })}, `route 1 "pay": weight -1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Run(t.Context(), tt.plan, time.Now(), func(int, Sample) { t.Error("observed something") })
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
}

// TestOutOfDescriptors runs itself in a process that may open very few files.
// There the service is not to blame: what cannot be dialled is unsent.
func TestOutOfDescriptors(t *testing.T) {
	const variable, n, files = "STORMCTL_TEST_FEW_FILES", 100, 40
	if addr := os.Getenv(variable); addr != "" {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files}); err != nil {
			t.Fatal(err)
		}
		by := map[Outcome]int{}
		stats := NewStats(1, time.Now())
		for _, s := range mustCollect(t, Plan{Schedule: together(n), Run: 1, Loops: 1, Stats: stats, Routes: []Route{{Addr: addr, Timeout: brief}}}) {
			by[s.Outcome]++
			if s.Skipped != (s.Outcome == Unsent) {
				t.Errorf("skipped is %v of %+v", s.Skipped, s)
			}
		}
		// Those that had a connection time out, as the server never answers.
		if by[Unsent] < n-files || by[TimedOut] == 0 || by[Unsent]+by[TimedOut] != n {
			t.Errorf("got %v, want at least %d unsent and the rest timed_out", by, n-files)
		}
		if r := stats.Read(); r.Starved != uint64(by[Unsent]) || r.Most < by[TimedOut] || r.DialLimited != 0 {
			t.Errorf("%d unsent, %d timed out, and the loop tells of %+v", by[Unsent], by[TimedOut], r)
		}
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestOutOfDescriptors$", "-test.v")
	child.Env = append(os.Environ(), variable+"="+listen(t, hang).addr)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
