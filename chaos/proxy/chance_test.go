package proxy

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/load/wire"
)

// hits sends requests 1 to n with these ids, in a random order over several
// connections at once, each twice, and returns which attempts were hit.
func hits(t *testing.T, seed uint64, concurrency, n int) []string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	l := listen(t, server.Listener.Addr().String(), func(c *Config) { c.Seed = seed })
	l.Add(0, Errors{Status: Statuses{503}, Select: Select{Share: 0.3}})
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
		if x := l.next(); x.HitBy(0) != (x.Status == 503) {
			t.Errorf("recorded %+v", x)
		}
	}
	if got := l.Hit(0); got != uint64(len(hit)) {
		t.Errorf("Hit is %d, callers saw %d", got, len(hit))
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
		a := &active{seed: toxicSeed(seed, link, index)}
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
