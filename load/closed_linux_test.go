package load

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load/arrivals"
)

// The closed model sends as many as it was asked for, never more at a time than
// it has connections, and every id once.
func TestClosedModel(t *testing.T) {
	const conns, n = 3, 100
	var busy, most atomic.Int64
	p := listen(t, each(func(c net.Conn, _ *http.Request) bool {
		most.Store(max(most.Load(), busy.Add(1)))
		time.Sleep(time.Millisecond)
		busy.Add(-1)
		_, err := io.WriteString(c, okAnswer)
		return err == nil
	}))
	samples, err := collect(t, t.Context(), Plan{Closed: &Closed{Connections: conns, Requests: n}, Run: 1, Loops: 2, Routes: []Route{{Addr: p.addr, Timeout: patient}}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for id := uint64(1); id <= n; id++ {
		if s, ok := samples[id]; !ok || s.Outcome != OK {
			t.Errorf("request %d: %+v, %v", id, s, ok)
		}
	}
	if len(samples) != n || most.Load() > conns || p.accepted.Load() != conns {
		t.Errorf("%d requests on %d connections, %d at a time; want %d, %d and no more", len(samples), p.accepted.Load(), most.Load(), n, conns)
	}
}

// It ends by time as well, and what is under way then is waited for.
func TestClosedModelEndsByTime(t *testing.T) {
	addr := listen(t, each(func(c net.Conn, _ *http.Request) bool {
		time.Sleep(20 * time.Millisecond)
		_, err := io.WriteString(c, okAnswer)
		return err == nil
	})).addr
	const length = 70 * time.Millisecond
	samples, err := collect(t, t.Context(), Plan{Closed: &Closed{Connections: 2, Duration: length}, Run: 1, Routes: []Route{{Addr: addr, Timeout: patient}}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	late := 0
	for _, s := range samples {
		if s.Outcome != OK || s.Intended >= length {
			t.Errorf("%+v", s)
		}
		if s.Done > length {
			late++
		}
	}
	if len(samples) < 2 || late == 0 {
		t.Errorf("%d samples, %d of them done after the end", len(samples), late)
	}
}

// Where nobody listens it does not dial as fast as it can.
func TestClosedModelPausesBeforeItDialsAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	start := time.Now()
	const n = 4
	samples, err := collect(t, t.Context(), Plan{Closed: &Closed{Connections: 1, Requests: n}, Run: 1, Routes: []Route{{Addr: addr}}}, start)
	if err != nil || len(samples) != n {
		t.Fatalf("%d samples, error %v", len(samples), err)
	}
	for _, s := range samples {
		if s.Outcome != Refused {
			t.Errorf("got %v", s.Outcome)
		}
	}
	if took, least := time.Since(start), (n-1)*redialPause; took < least {
		t.Errorf("%d dials took %v, want %v at least", n, took, least)
	}
}

func TestClosedModelRedialsWhatTheServerCloses(t *testing.T) {
	p := listen(t, saysAndCloses("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"))
	samples, err := collect(t, t.Context(), Plan{Closed: &Closed{Connections: 2, Requests: 20}, Run: 1, Routes: []Route{{Addr: p.addr, Timeout: patient}}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		if s.Outcome != OK {
			t.Errorf("got %v", s.Outcome)
		}
	}
	if got := p.accepted.Load(); got != 20 || len(samples) != 20 {
		t.Errorf("%d connections for %d requests, want 20 for 20", got, len(samples))
	}
}

// unixServer listens on a unix socket with a backlog of its own.
func unixServer(t *testing.T, serve func(net.Conn)) (path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "load") // t.TempDir may be longer than a socket's path can be
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var conns []net.Conn
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
			go serve(c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for _, c := range conns {
			c.Close()
		}
		os.RemoveAll(dir)
	})
	return path
}

func TestUnixSocket(t *testing.T) {
	path := unixServer(t, says(okAnswer))
	for _, s := range mustCollect(t, Plan{Schedule: together(50), Run: 1, MaxConns: 10, Routes: []Route{{Addr: "unix:" + path, Timeout: patient}}}) {
		if s.Outcome != OK {
			t.Errorf("got %v", s.Outcome)
		}
	}
	for _, s := range mustCollect(t, Plan{Schedule: together(2), Run: 1, Routes: []Route{{Addr: "unix:" + path + "x"}}}) {
		if s.Outcome != Refused {
			t.Errorf("no such socket: got %v", s.Outcome)
		}
	}
}

// A pipelined connection gets further requests before the first is answered,
// and the answers are told apart by their order.
func TestPipeline(t *testing.T) {
	const depth = 4
	addr := listen(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		for {
			for range depth {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				io.Copy(io.Discard, r.Body)
			}
			// In one piece but for its last byte.
			answers := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" +
				"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
			io.WriteString(c, answers[:len(answers)-1])
			time.Sleep(5 * time.Millisecond)
			io.WriteString(c, answers[len(answers)-1:])
		}
	}).addr
	samples := mustCollect(t, Plan{Schedule: together(3 * depth), Run: 1, Loops: 1, MaxConns: 1, Pipeline: depth, Routes: []Route{{Addr: addr, Timeout: patient}}})
	for i, s := range samples {
		if want := []int{200, 404, 503, 200}[i%depth]; s.Status != want {
			t.Errorf("request %d: status %d, want %d", s.ID, s.Status, want)
		}
	}
}

// When a pipelined request runs out of time its connection is lost, and those
// behind it were reset.
func TestPipelineTimesOut(t *testing.T) {
	addr := listen(t, hang).addr
	got := map[Outcome]int{}
	for _, s := range mustCollect(t, Plan{Schedule: together(3), Run: 1, Loops: 1, MaxConns: 1, Pipeline: 3, Routes: []Route{{Addr: addr, Timeout: brief}}}) {
		got[s.Outcome]++
	}
	if got[TimedOut] != 1 || got[Reset] != 2 {
		t.Errorf("got %v, want 1 timed_out and 2 reset", got)
	}
}

func TestMaxQueue(t *testing.T) {
	addr := listen(t, hang).addr
	for _, tt := range []struct{ max, unsentAtOnce int }{{-1, 9}, {4, 5}, {0, 0}} {
		atOnce := 0
		tally := NewTally(1, 1)
		for _, s := range mustCollect(t, Plan{Schedule: together(10), Run: 1, Loops: 1, MaxConns: 1, MaxQueue: tt.max, Routes: []Route{{Addr: addr, Timeout: brief}}}) {
			if s.Outcome == Unsent && s.ResponseTime() < brief/2 {
				atOnce++
			}
			if s.Skipped != (s.Outcome == Unsent && s.ResponseTime() < brief/2) {
				t.Errorf("a queue of %d: skipped is %v of %+v", tt.max, s.Skipped, s)
			}
			tally.Observe(0, s)
		}
		// What may not wait says nothing of how long callers wait.
		if p50, n := tally.Delta().Times.AllResponse().Quantile(0.5), tally.Total().All()[Unsent]; p50 < brief/2 || n != 9 {
			t.Errorf("a queue of %d: %d unsent, p50 %v of response times where nothing answers within %v", tt.max, n, p50, brief)
		}
		if atOnce != tt.unsentAtOnce {
			t.Errorf("a queue of %d: %d of 10 unsent at once, want %d", tt.max, atOnce, tt.unsentAtOnce)
		}
	}
}

func TestConnectionsAreRenewed(t *testing.T) {
	p := listen(t, says(okAnswer))
	for _, s := range mustCollect(t, Plan{Schedule: together(20), Run: 1, Loops: 1, MaxConns: 1, ConnRequests: 4, Routes: []Route{{Addr: p.addr, Timeout: patient}}}) {
		if s.Outcome != OK {
			t.Errorf("got %v", s.Outcome)
		}
	}
	if got := p.accepted.Load(); got != 5 {
		t.Errorf("%d connections for 20 requests at 4 each, want 5", got)
	}
	const lifetime = 10 * time.Millisecond
	p = listen(t, says(okAnswer))
	began := time.Now()
	mustCollect(t, Plan{Schedule: arrivals.Constant(1000, 10*lifetime), Run: 1, Loops: 1, MaxConns: 1, ConnLifetime: lifetime, Routes: []Route{{Addr: p.addr, Timeout: patient}}})
	took := time.Since(began) // longer than the schedule on a host that is late
	if got := int(p.accepted.Load()); got < 2 || got > 1+int(took/lifetime) {
		t.Errorf("%d connections of %v in %v", got, lifetime, took)
	}
}

// New connections are opened no faster than the plan wants, and what waits for
// one is sent when it is there.
func TestDialRate(t *testing.T) {
	p := listen(t, hang)
	samples := mustCollect(t, Plan{Schedule: together(10), Run: 1, Loops: 1, DialRate: 200, Grace: patient, Routes: []Route{{Addr: p.addr, Timeout: 100 * time.Millisecond}}})
	last := time.Duration(0)
	for _, s := range samples {
		if s.Outcome != TimedOut {
			t.Errorf("got %v", s.Outcome)
		}
		last = max(last, s.Sent)
	}
	// dialBurst allows the first two at once: eight more at 5 ms each.
	if least := 8*5*time.Millisecond - time.Millisecond; last < least || p.accepted.Load() != 10 {
		t.Errorf("the last of %d connections after %v, want 10 after %v at least", p.accepted.Load(), last, least)
	}
}

func TestStatsTellOfConnections(t *testing.T) {
	p := listen(t, says(okAnswer))
	plan := Plan{Schedule: together(10), Run: 1, Loops: 2, MaxConns: 4, Routes: []Route{{Addr: p.addr, Timeout: patient}}}
	plan.Stats = NewStats(Shards(plan), time.Now())
	mustCollect(t, plan)
	if r := plan.Stats.Read(); r.Dialled != 4 || r.Open < 0 {
		t.Errorf("got %+v, want 4 dialled", r)
	}
}
