package evidence

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/wire"
)

// someIDs are n ids of one of the kinds that there may be.
func someIDs(rng *rand.Rand, kind, n int) []uint64 {
	ids := make([]uint64, n)
	for i := range ids {
		switch kind {
		case 0: // arrivals, each with some attempts
			ids[i] = 1000 + uint64(i/3)
		case 1: // arrivals and the steps that follow them
			ids[i] = wire.SeqOf(7+uint64(rng.IntN(n)), rng.IntN(4))
		case 2: // no arrivals at all
			ids[i] = rng.Uint64()
		case 3: // few, far apart and often
			ids[i] = []uint64{1, 1 << 40, 1<<64 - 1, wire.SeqOf(5, 65535)}[rng.IntN(4)]
		case 4: // most without one
			ids[i] = uint64(max(0, rng.IntN(40)-30))
		}
	}
	return ids
}

// What is found is what looking at every record finds, whatever the ids are.
func TestFindsWhatThereIs(t *testing.T) {
	const seed = 5
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range 400 {
		kind, n := round%5, rng.IntN(40)
		if round%40 < 5 {
			n = 3 * few // so that it matters whether they are dense
		}
		ids := someIDs(rng, kind, n)
		run, link := &Run{Routes: []string{"pay", "browse", "none"}}, &Link{}
		byID, byRoute := map[uint64][]int32{}, make([][]int32, 2)
		for i, id := range ids {
			route := rng.IntN(2)
			run.Samples = append(run.Samples, load.Sample{ID: id, Route: route})
			link.Exchanges = append(link.Exchanges, Exchange{ID: id})
			byID[id] = append(byID[id], int32(i))
			byRoute[route] = append(byRoute[route], int32(i))
		}
		delete(byID, 0)
		for _, id := range append(ids, 0, 1, 1<<48, 1<<64-1, rng.Uint64(), 999, 1000) {
			want := byID[id]
			if got := link.CausedBy(id); !slices.Equal(got, want) || (got == nil) != (want == nil) {
				t.Fatalf("seed %d, ids of kind %d: %d caused %v, want %v", seed, kind, id, got, want)
			}
			s, ok := run.Sample(id)
			if ok != (want != nil) || ok && s != &run.Samples[want[len(want)-1]] {
				t.Fatalf("seed %d, ids of kind %d: the sample of %d is not the one at %v", seed, kind, id, want)
			}
		}
		for route, name := range run.Routes[:2] {
			if got, ok := run.Route(name); !ok || !slices.Equal(got, byRoute[route]) {
				t.Fatalf("seed %d: %s is at %v, want %v", seed, name, got, byRoute[route])
			}
		}
	}
}

func TestRouteOfNone(t *testing.T) {
	run := &Run{Routes: []string{"pay", "none"}, Samples: []load.Sample{{Route: 0}, {Route: -3}, {Route: 1 << 50}}}
	for name, want := range map[string]bool{"pay": true, "none": true, "": false, "?": false} {
		if got, ok := run.Route(name); ok != want || len(got) > 0 && name != "pay" {
			t.Errorf("%q: %v, %v; want %v", name, got, ok, want)
		}
	}
}

// Evidence that changes between two rulings is looked at anew.
func TestFindsWhatHasChanged(t *testing.T) {
	link := &Link{}
	for i := range 10 {
		link.Exchanges = append(link.Exchanges, Exchange{ID: uint64(1 + i/2), Begin: time.Duration(i)})
	}
	all := link.Exchanges
	for _, c := range []struct {
		name      string
		exchanges []Exchange
		want      []int32 // of 5
	}{
		{"all", all, []int32{8, 9}},
		{"the first", all[:9], []int32{8}},
		{"the last", all[1:], []int32{7, 8}},
		{"none", nil, nil},
		{"as many others", slices.Repeat([]Exchange{{ID: 5}}, 2), []int32{0, 1}},
		{"all again", all, []int32{8, 9}},
	} {
		link.Exchanges = c.exchanges
		if got := link.CausedBy(5); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Claims are judged side by side; they share what is found.
func TestFindsForManyAtOnce(t *testing.T) {
	run, link := &Run{Routes: []string{"pay"}}, &Link{}
	for i := range 20_000 {
		run.Samples = append(run.Samples, load.Sample{ID: uint64(i + 1)})
		link.Exchanges = append(link.Exchanges, Exchange{ID: uint64(i + 1)})
	}
	var wg sync.WaitGroup
	shared := make([][]int32, 8)
	for k := range shared {
		wg.Go(func() {
			for i := range link.Exchanges {
				s, ok := run.Sample(uint64(i + 1))
				if at := link.CausedBy(uint64(i + 1)); !ok || s.ID != uint64(i+1) || len(at) != 1 || at[0] != int32(i) {
					t.Errorf("request %d: %v, caused %v", i+1, ok, at)
					return
				}
			}
			shared[k], _ = run.Route("pay")
		})
	}
	wg.Wait()
	for _, s := range shared {
		if len(s) != len(run.Samples) || &s[0] != &shared[0][0] {
			t.Error("each has its own")
		}
	}
}

// Looking up allocates nothing; what it takes to find all is a few bytes a record.
func TestFindingIsCheap(t *testing.T) {
	link := &Link{}
	const n = 200_000
	for i := range n {
		link.Exchanges = append(link.Exchanges, Exchange{ID: wire.SeqOf(uint64(1+i/2), i%2)})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	link.CausedBy(1)
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / n; got > 16 {
		t.Errorf("%d bytes a record, want at most 8 and a wide margin", got)
	}
	if got := testing.AllocsPerRun(100, func() { link.CausedBy(n / 4) }); got != 0 {
		t.Errorf("%v allocations a look-up, want none", got)
	}
}
