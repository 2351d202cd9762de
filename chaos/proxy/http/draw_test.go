package http

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// hits sends requests 1 to n with these ids, in a random order over several
// connections at once, each twice, and returns which attempts were hit.
func hits(t *testing.T, seed uint64, concurrency, n int) []string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	l := listen(t, server.Listener.Addr().String(), func(c *Config) { c.Seed = seed })
	heal := l.Add(0, toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 0.3}})
	ids := make(chan uint64)
	go func() {
		defer close(ids)
		for _, id := range rand.Perm(n) {
			ids <- uint64(id) + 1
		}
	}()
	var mu sync.Mutex
	var hit []string
	var wg sync.WaitGroup
	for range concurrency {
		wg.Go(func() {
			client := http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for id := range ids {
				for attempt := range 2 {
					req, _ := http.NewRequest("GET", "http://"+l.Addr(), nil)
					req.Header.Set("X-Request-Id", string(wire.AppendID(nil, wire.ID{Run: 1, Seq: id})))
					res, err := client.Do(req)
					if err != nil {
						t.Error(err)
						return
					}
					res.Body.Close()
					if res.StatusCode == 503 {
						mu.Lock()
						hit = append(hit, fmt.Sprintf("%d/%d", id, attempt))
						mu.Unlock()
					}
				}
			}
		})
	}
	wg.Wait()
	for range 2 * n {
		if x := l.Next(); x.HitBy(0) != (x.Status == 503) {
			t.Errorf("recorded %+v", x)
		}
	}
	if got := l.Hit(0); got != uint64(len(hit)) {
		t.Errorf("Hit is %d, callers saw %d", got, len(hit))
	}
	remembered := &(*l.relay.toxics.Load())[0].attempts
	if len(remembered.young) != n {
		t.Errorf("the fault remembers %d requests, want %d", len(remembered.young), n)
	}
	heal()
	if len(remembered.young)+len(remembered.old) > 0 {
		t.Error("what is healed remembers requests, for as long as a connection has carried none since")
	}
	slices.Sort(hit)
	return hit
}

func TestSameSeedHitsTheSameRequests(t *testing.T) {
	const n = 400
	one, eight, other := hits(t, 7, 1, n), hits(t, 7, 8, n), hits(t, 8, 8, n)
	if diff := cmp.Diff(one, eight); diff != "" {
		t.Errorf("one connection and eight differ:\n%s", diff)
	}
	if slices.Equal(one, other) {
		t.Error("another seed hits the same requests")
	}
	// 30% of 800 draws is 240, with a standard deviation of √(800·0.3·0.7) = 13.
	if len(one) < 175 || len(one) > 305 {
		t.Errorf("%d of %d hit, want about 30%%", len(one), 2*n)
	}
	// A retry is a draw of its own: of about 120 first attempts hit, about 36
	// are hit again, neither none nor all.
	again := 0
	for id := range n {
		if slices.Contains(one, fmt.Sprintf("%d/0", id+1)) && slices.Contains(one, fmt.Sprintf("%d/1", id+1)) {
			again++
		}
	}
	if again < 10 || again > 70 {
		t.Errorf("%d requests hit twice, want about 36", again)
	}
}

// TestDrawDependsOn each of its inputs, and on nothing else.
func TestDrawDependsOn(t *testing.T) {
	first := func(seed uint64, link string, index int, id, seq uint64, before int) uint64 {
		a := &active{seed: toxic.Seed(seed, link, index)}
		var d draw
		for range before {
			d.about(a, id, seq)
			d.Uint64()
		}
		d.about(a, id, seq)
		return d.Uint64()
	}
	want := first(7, "payments", 1, 42, 1, 0)
	if got := first(7, "payments", 1, 42, 99, 0); got != want {
		t.Error("the order of exchanges matters to a request with an id")
	}
	for name, got := range map[string]uint64{
		"seed":    first(8, "payments", 1, 42, 1, 0),
		"link":    first(7, "ledger", 1, 42, 1, 0),
		"index":   first(7, "payments", 2, 42, 1, 0),
		"id":      first(7, "payments", 1, 43, 1, 0),
		"attempt": first(7, "payments", 1, 42, 1, 1),
		"no id":   first(7, "payments", 1, 0, 42, 0),
	} {
		if got == want {
			t.Errorf("%s does not matter", name)
		}
	}
	if first(7, "payments", 1, 0, 1, 0) == first(7, "payments", 1, 0, 2, 0) {
		t.Error("requests without an id all draw the same")
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	var a attempts
	for id := range uint64(3 * rememberedIDs) {
		if n := a.next(id); n != 0 {
			t.Fatalf("id %d came %d times before, want 0", id, n)
		}
		if n := a.next(1 << 40); n != id { // never forgotten, as it keeps coming
			t.Fatalf("the steady id came %d times before, want %d", n, id)
		}
	}
	if n := len(a.young) + len(a.old); n > 2*rememberedIDs {
		t.Errorf("%d ids are remembered, want at most %d", n, 2*rememberedIDs)
	}
	if n := a.next(0); n != 0 {
		t.Errorf("id 0 came %d times before, want it forgotten", n)
	}
}

// TestTimeDecidesAtTheEdgesOnly: a fault that comes and goes while requests are
// under way hits, of those that come and go while it is in force, the ones that
// seed and id say, in whatever order they come and whenever it does; and none
// that were over before or came afterwards. Only what is under way as it comes
// or goes can be either.
func TestTimeDecidesAtTheEdgesOnly(t *testing.T) {
	const n = 600
	for _, protocol := range []string{toxic.ProtocolHTTP1, toxic.ProtocolHTTP2} {
		t.Run(protocol, func(t *testing.T) {
			said := partlyHit(t, protocol, n, 0, 0).hit
			for _, edges := range [][2]int{{n / 6, n / 2}, {n / 3, n * 5 / 6}} {
				s := partlyHit(t, protocol, n, edges[0], edges[1])
				if len(s.within) == 0 || len(s.outside) == 0 {
					t.Fatalf("%d came and went while it was in force, %d while it was not", len(s.within), len(s.outside))
				}
				for id := range s.within {
					if s.hit[id] != said[id] {
						t.Errorf("request %d: hit is %v, but %v where the fault was in force all the time", id, s.hit[id], said[id])
					}
				}
				for id := range s.outside {
					if s.hit[id] {
						t.Errorf("request %d is hit, which was over before the fault or came after it", id)
					}
				}
			}
		})
	}
}

// seenAt tells which of some requests a fault hit, and which of them came and
// went while it was in force, or not.
type seenAt struct{ hit, within, outside map[uint64]bool }

// partlyHit sends n requests in a random order, several at once, with a fault
// from about when from of them have ended until to have; if from is 0, all the
// time.
func partlyHit(t *testing.T, protocol string, n, from, to int) seenAt {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
	}))
	var protocols http.Protocols
	protocols.SetHTTP1(protocol == toxic.ProtocolHTTP1)
	protocols.SetUnencryptedHTTP2(protocol == toxic.ProtocolHTTP2)
	s.Config.Protocols = &protocols
	s.Start()
	defer s.Close()
	start := time.Now()
	l := listen(t, s.Listener.Addr().String(), func(c *Config) { c.Protocol = protocol })
	l.Record(start, func(x evidence.Exchange) { l.Records <- x })
	client := http.Client{Transport: &http.Transport{Protocols: &protocols}}
	defer client.CloseIdleConnections()
	fault := toxic.Errors{Status: toxic.Statuses{503}, Select: toxic.Select{Share: 0.4}}
	if from == 0 {
		defer l.Add(0, fault)()
	}

	ids := rand.Perm(n)
	var next, ended atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				req, _ := http.NewRequest("GET", "http://"+l.Addr(), nil)
				req.Header.Set("X-Request-Id", string(wire.AppendID(nil, wire.ID{Run: 1, Seq: uint64(ids[i-1]) + 1})))
				res, err := client.Do(req)
				if err != nil {
					t.Error(err)
				} else {
					res.Body.Close()
				}
				ended.Add(1)
			}
		})
	}
	wait := func(count int) {
		for ended.Load() < int64(count) {
			time.Sleep(100 * time.Microsecond)
		}
	}
	var edges [4]time.Duration // it is about to come, has come, is about to go, has gone
	if from > 0 {
		wait(from)
		edges[0] = time.Since(start)
		remove := l.Add(0, fault)
		edges[1] = time.Since(start)
		wait(to)
		edges[2] = time.Since(start)
		remove()
		edges[3] = time.Since(start)
	}
	wg.Wait()

	seen := seenAt{map[uint64]bool{}, map[uint64]bool{}, map[uint64]bool{}}
	for range n {
		x := l.Next()
		seen.hit[x.ID] = x.HitBy(0)
		if edges[1] < x.Begin && x.End < edges[2] {
			seen.within[x.ID] = true
		}
		if x.End < edges[0] || edges[3] < x.Begin {
			seen.outside[x.ID] = true
		}
	}
	return seen
}
