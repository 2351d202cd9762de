package http

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/proxy/wiretest"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

// TestNothingIsLostWhileToxicsChange sends bodies of all sizes both ways under
// toxics that hold and delay and come and go all the time: what arrives is what
// was sent, in its order. Those that end exchanges come and go as well, on
// paths of their own. With HTTP/2 callers of both paths share connections.
func TestNothingIsLostWhileToxicsChange(t *testing.T) {
	for _, protocol := range []string{toxic.ProtocolHTTP1, toxic.ProtocolHTTP2} {
		t.Run(protocol, func(t *testing.T) { nothingIsLost(t, protocol) })
	}
}

func nothingIsLost(t *testing.T, protocol string) {
	addr := h2server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if want := r.Header.Get("Sum"); want != sum(body) {
			t.Errorf("the dependency got %d bytes with sum %s, want %s", len(body), sum(body), want)
		}
		w.Header().Set("Sum", sum(body))
		for len(body) > 0 { // in chunks
			n := min(len(body), 10_000)
			w.Write(body[:n])
			body = body[n:]
		}
	}))
	l := listen(t, addr, speaks(protocol))
	shared := []*http.Client{h2client(t), h2client(t)}
	var recorded atomic.Int64
	l.Record(time.Now(), func(evidence.Exchange) { recorded.Add(1) })

	const callers = 24
	toxics := stormyToxics()
	begun := time.Now()
	goesOn := func() bool { // for 3 s, and on a slow machine until each has hit something
		took := time.Since(begun)
		for i := range toxics {
			if l.Hit(i) == 0 && took < wiretest.Patience {
				return true
			}
		}
		return took < 3*time.Second
	}
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			path := []string{"/calm", "/stormy"}[i%2]
			rng := rand.New(rand.NewPCG(7, uint64(i)))
			client := &http.Client{Transport: &http.Transport{}, Timeout: wiretest.Patience}
			defer client.CloseIdleConnections()
			if protocol == toxic.ProtocolHTTP2 {
				client = shared[i/2%2]
			}
			for goesOn() {
				body := make([]byte, []int{0, 10, 3_000, 200_000}[rng.IntN(4)])
				for i := range body {
					body[i] = byte(rng.Uint32())
				}
				var sent io.Reader = bytes.NewReader(body)
				if rng.IntN(2) == 0 {
					sent = io.MultiReader(sent) // in chunks
				}
				req, _ := http.NewRequest("POST", "http://"+l.Addr()+path, sent)
				req.Header.Set("Sum", sum(body))
				res, err := client.Do(req)
				if err != nil {
					if path == "/calm" {
						t.Errorf("a caller nothing should happen to: %v", err)
					}
					continue
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				switch {
				case path == "/calm" && (err != nil || res.StatusCode != 200):
					t.Errorf("a caller nothing should happen to: status %d, %v", res.StatusCode, err)
				case err == nil && res.StatusCode == 200 && !bytes.Equal(got, body):
					t.Errorf("sent %d bytes, got %d others back", len(body), len(got))
				}
			}
		})
	}
	for i, tx := range toxics {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(8, uint64(i)))
			for goesOn() {
				remove := l.Add(i, tx)
				time.Sleep(time.Duration(rng.IntN(int(5 * time.Millisecond))))
				remove()
				time.Sleep(time.Duration(rng.IntN(int(10 * time.Millisecond))))
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := recorded.Load(), int64(l.relay.Began()); got != want || got == 0 {
		t.Errorf("%d exchanges observed of %d", got, want)
	}
	for i := range toxics {
		if l.Hit(i) == 0 {
			t.Errorf("toxic %d hit nothing: this has shown nothing about it", i)
		}
	}
}

// stormyToxics end exchanges on one path, and hold and delay them on all.
func stormyToxics() []toxic.Toxic {
	stormy := func(share unit.Share) toxic.Select {
		return toxic.Select{Share: share, Match: &toxic.Match{Path: "/stormy"}}
	}
	return []toxic.Toxic{
		toxic.Partition{Select: toxic.All},
		toxic.Partition{Select: toxic.Select{Share: 0.5}},
		toxic.Latency{Delay: 2 * time.Millisecond, Jitter: 2 * time.Millisecond, Select: toxic.All},
		toxic.Errors{Status: toxic.Statuses{503}, Select: stormy(0.5)},
		toxic.Reset{Select: stormy(0.2)},
		toxic.Hang{Select: toxic.Select{Share: 0.5, MaxActive: 5}},
		toxic.Latency{Delay: time.Millisecond, On: "response", Select: toxic.Select{Share: 1, Every: 2}},
		toxic.SlowBody{Rate: 20_000_000, Select: toxic.All},
		toxic.Duplicate{Select: toxic.Select{Share: 0.2}},
		toxic.Truncate{After: 5, Select: stormy(1)},
		toxic.Reset{When: "during", Select: stormy(0.5)},
		toxic.Reset{When: "after", Select: stormy(0.2)},
		toxic.DropResponse{Select: stormy(0.2)},
		toxic.DropResponse{Then: "reset", Select: toxic.Select{Share: 0.2, Match: &toxic.Match{Path: "/stormy"}, Cycle: &toxic.Cycle{On: time.Millisecond, Off: time.Millisecond}}},
	}
}

func sum(b []byte) string { return strconv.FormatUint(uint64(crc32.ChecksumIEEE(b)), 16) }

// TestInFlightIsExact: callers who hold at most n calls at a time are never
// seen holding more, neither on connections that stay nor on new ones.
func TestInFlightIsExact(t *testing.T) {
	const n = 5
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "ok")
	}))
	defer server.Close()
	for _, keepAlive := range []bool{true, false} {
		t.Run(fmt.Sprintf("keep-alive %v", keepAlive), func(t *testing.T) {
			l := listen(t, server.Listener.Addr().String())
			l.Add(0, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 0.5}})
			transport := &http.Transport{DisableKeepAlives: !keepAlive, MaxIdleConnsPerHost: n}
			defer transport.CloseIdleConnections()
			client := http.Client{Transport: transport}
			semaphore := make(chan struct{}, n)
			var wg sync.WaitGroup
			const calls = 2000
			for range 4 * n {
				wg.Go(func() {
					for range calls / (4 * n) {
						semaphore <- struct{}{}
						res, err := client.Get("http://" + l.Addr())
						if err != nil {
							t.Error(err)
						} else {
							io.Copy(io.Discard, res.Body)
							res.Body.Close()
						}
						<-semaphore
					}
				})
			}
			wg.Wait()
			most := 0
			for range calls {
				most = max(most, int(l.Next().InFlight))
			}
			if most > n {
				t.Errorf("%d in flight, callers hold at most %d", most, n)
			}
			if most < 2 {
				t.Error("never two at once: this has shown nothing")
			}
		})
	}
}

// TestPassingAllocatesNothing: an exchange that passes costs no allocation,
// recording included.
func TestPassingAllocatesNothing(t *testing.T) {
	for _, tt := range []struct{ name, request, response string }{
		{"get", "GET /pay HTTP/1.1\r\nHost: a\r\nX-Request-Id: 0000000000000001000000000000002a\r\n\r\n", wiretest.OK},
		{"post", "POST /pay HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 3\r\n\r\nabc", wiretest.OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := echoLink(t, tt.request, tt.response)
			if n := testing.AllocsPerRun(500, c); n != 0 {
				t.Errorf("%v allocations per exchange, want none", n)
			}
		})
	}
}

// echoLink returns a function that does one exchange through a relay, between
// a caller and a dependency that allocate nothing.
func echoLink(tb testing.TB, request, response string) func() {
	tb.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf, answer := make([]byte, len(request)), []byte(response)
		for {
			if _, err := io.ReadFull(conn, buf); err != nil {
				return
			}
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	})
	r := serve(tb, server.Addr().String())
	var seen atomic.Uint64
	r.Record(time.Now(), func(x evidence.Exchange) { seen.Add(x.ID) })
	conn, err := net.Dial("tcp", r.Addr())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		conn.Close()
		r.Close()
		server.Close()
		wg.Wait()
	})
	out, in := []byte(request), make([]byte, len(response))
	return func() {
		if _, err := conn.Write(out); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(conn, in); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkPass is one exchange on a kept connection, caller and dependency
// included: three times two system calls.
func BenchmarkPass(b *testing.B) {
	exchange := echoLink(b, wiretest.Get, wiretest.OK)
	b.ReportAllocs()
	for b.Loop() {
		exchange()
	}
}

// TestManyCallersComeAndGo opens and ends connections in every way while the
// relay is closed under them.
func TestManyCallersComeAndGo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	r := serve(t, server.Listener.Addr().String())
	var observed atomic.Uint64
	r.Record(time.Now(), func(evidence.Exchange) { observed.Add(1) })
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := 0; ; j++ {
				conn, err := net.Dial("tcp", r.Addr())
				if err != nil {
					if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET) {
						t.Error(err)
					}
					return
				}
				halves := 1 + j%4 // of two requests
				io.WriteString(conn, (wiretest.Get + wiretest.Get)[:len(wiretest.Get)/2*halves])
				if halves > 1 && j%3 == 0 {
					io.ReadFull(conn, make([]byte, 10))
				}
				if (i+j)%2 == 0 {
					transport.Reset(conn.(*net.TCPConn))
				}
				conn.Close()
			}
		})
	}
	for observed.Load() < 500 {
		time.Sleep(time.Millisecond)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if got, want := observed.Load(), r.Began(); got != want {
		t.Errorf("%d exchanges observed of %d", got, want)
	}
	if n := r.InFlight(); n != 0 {
		t.Errorf("%d in flight", n)
	}
	wg.Wait()
	if err := r.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}
