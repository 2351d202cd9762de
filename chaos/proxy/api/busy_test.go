package api

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var storm = flag.Duration("storm", 0, "how long TestBusy changes 1,000 toxics a second under 200 connections; then no call may take longer than 100 ms")

// TestBusy adds, updates and removes toxics all the time while connections are
// busy: every call is answered as if it were alone, and every byte arrives, in
// its order. With -storm it is at full size, and the calls are timed: on a
// machine that has nothing else to do, because callers, server, relay and both
// ends of all connections share it.
func TestBusy(t *testing.T) {
	connections, lasts, rate := 40, 1500*time.Millisecond, 200.0
	if *storm > 0 {
		connections, lasts, rate = 200, *storm, 1000
	}
	echo := echoServer(t)
	s := New(Config{Seed: 7})
	defer s.Close()
	var within atomic.Int64 // the longest time that a call took in the server
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		s.ServeHTTP(w, r)
		took := int64(time.Since(begin))
		for longest := within.Load(); took > longest && !within.CompareAndSwap(longest, took); longest = within.Load() {
		}
	}))
	defer api.Close()
	status, body := send(s, `POST /proxies {"name":"p","listen":"127.0.0.1:0","upstream":"`+echo+`"}`)
	if status != 201 {
		t.Fatalf("%d %s", status, body)
	}
	e, err := s.get("p")
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var echoed atomic.Uint64
	var busy sync.WaitGroup
	for i := range connections {
		busy.Go(func() { keepBusy(t, e.view().Listen, uint64(i), &stop, &echoed) })
	}

	const callers = 8
	slowest := make([]time.Duration, callers)
	var calls, changes atomic.Uint64
	var calling sync.WaitGroup
	start := time.Now()
	for i := range callers {
		calling.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			rng := rand.New(rand.NewPCG(7, uint64(i)))
			name := fmt.Sprintf("t%d", i)
			call := func(method, path, body string, want int) {
				begin := time.Now()
				req, _ := http.NewRequest(method, api.URL+path, strings.NewReader(body))
				res, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				text, _ := io.ReadAll(res.Body)
				res.Body.Close()
				slowest[i] = max(slowest[i], time.Since(begin))
				calls.Add(1)
				if res.StatusCode != want {
					t.Errorf("%s %s %s: %d %s, want %d", method, path, body, res.StatusCode, text, want)
				}
			}
			for n := 0; time.Since(start) < lasts; n++ {
				// The pace is the schedule's, whatever a call takes.
				time.Sleep(time.Until(start.Add(time.Duration(float64(n*3*callers) / rate * 1e9))))
				stream := []string{"upstream", "downstream", "both"}[rng.IntN(3)]
				what := []string{
					`"type":"latency","attributes":{"latency":1,"jitter":1}`,
					`"type":"latency"`,
					`"type":"bandwidth","attributes":{"rate":100000}`,
					`"type":"slicer","attributes":{"average_size":700,"size_variation":300}`,
					`"type":"slow_close","attributes":{"delay":1}`,
					`"type":"timeout","toxicity":0.1`,
					`"type":"partition","toxicity":0.1`,
					`"type":"noop"`,
				}[rng.IntN(8)]
				call("POST", "/proxies/p/toxics", fmt.Sprintf(`{"name":%q,"stream":%q,%s}`, name, stream, what), 200)
				call("PATCH", "/proxies/p/toxics/"+name, `{"toxicity":0.5}`, 200)
				call("DELETE", "/proxies/p/toxics/"+name, ``, 204)
				changes.Add(3)
				switch n % 20 {
				case 0:
					call("GET", "/proxies", ``, 200)
				case 10:
					call("GET", "/metrics", ``, 200)
				}
			}
		})
	}
	calling.Wait()
	took := time.Since(start)
	stop.Store(true)
	busy.Wait()
	worst := time.Duration(0)
	for _, d := range slowest {
		worst = max(worst, d)
	}
	t.Logf("%d calls, %.0f changes/s, the slowest call %v (%v in the server), %d connections, %d MB echoed",
		calls.Load(), float64(changes.Load())/took.Seconds(), worst, time.Duration(within.Load()), connections, echoed.Load()/1e6)
	if *storm > 0 && worst > 100*time.Millisecond {
		t.Errorf("a call took %v, want at most 100 ms", worst)
	}
	if *storm > 0 && float64(changes.Load())/took.Seconds() < 0.95*rate {
		t.Errorf("%d changes in %v, want %v a second: this has not shown what it is for", changes.Load(), took, rate)
	}
	if len(e.view().Toxics) != 0 {
		t.Errorf("toxics are left: %+v", e.view().Toxics)
	}
}

// busyEvery is how often each connection sends a block: if they did so as fast
// as they can, calls would measure how long the queue for the processor is.
const busyEvery = 20 * time.Millisecond

// keepBusy sends blocks on one connection until it is to stop, and gets each
// back as it was.
func keepBusy(t *testing.T, addr string, seed uint64, stop *atomic.Bool, echoed *atomic.Uint64) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	sent, got := make([]byte, 4<<10), make([]byte, 4<<10)
	for !stop.Load() {
		time.Sleep(busyEvery)
		_, _ = rng.Read(sent)
		if _, err := conn.Write(sent); err != nil {
			t.Errorf("connection %d: %v", seed, err)
			return
		}
		if _, err := io.ReadFull(conn, got); err != nil {
			t.Errorf("connection %d: %v", seed, err)
			return
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("connection %d: other bytes came back", seed)
			return
		}
		echoed.Add(uint64(len(got)))
	}
}

// echoServer sends back what it gets.
func echoServer(t *testing.T) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // ends when the other side does
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}
