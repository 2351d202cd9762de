package judge

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/load"
)

// Records that are picked, and picked from again, are those that a copy of them
// would have.
func TestPicked(t *testing.T) {
	const seed = 2
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		front := make([]load.Sample, rng.IntN(20))
		for i := range front {
			front[i] = load.Sample{ID: uint64(i), Intended: time.Duration(rng.IntN(9))}
		}
		slices.SortStableFunc(front, func(a, b load.Sample) int { return int(a.Intended - b.Intended) })
		before := slices.Clone(front)
		got, want := every(front), slices.Clone(front)
		for range 4 {
			switch bound := time.Duration(rng.IntN(10)); rng.IntN(4) {
			case 0:
				lo := rng.IntN(len(want) + 1)
				hi := lo + rng.IntN(len(want)-lo+1)
				got, want = got.part(lo, hi), want[lo:hi]
			case 1:
				third := rng.Uint64N(3)
				got = got.where(func(s *load.Sample) bool { return s.ID%3 != third })
				want = slices.DeleteFunc(slices.Clone(want), func(s load.Sample) bool { return s.ID%3 == third })
			case 2:
				if !slices.IsSortedFunc(want, func(a, b load.Sample) int { return int(a.Intended - b.Intended) }) {
					continue
				}
				got = due(got, bound/2, bound)
				want = slices.DeleteFunc(slices.Clone(want), func(s load.Sample) bool { return s.Intended < bound/2 || s.Intended >= bound })
			case 3:
				backwards := func(a, b *load.Sample) int { return int(b.ID/2) - int(a.ID/2) }
				got = got.ordered(backwards)
				want = slices.Clone(want)
				slices.SortStableFunc(want, func(a, b load.Sample) int { return backwards(&a, &b) })
			}
		}
		got, want = joined(got, got.part(0, got.len()/2)), append(slices.Clone(want), want[:len(want)/2]...)
		var all []load.Sample
		for i, s := range got.all() {
			if s != got.get(i) || s != &front[got.place(i)] {
				t.Fatalf("seed %d: the record number %d is a copy", seed, i)
			}
			all = append(all, *s)
		}
		if !slices.Equal(all, want) || !slices.Equal(front, before) {
			t.Fatalf("seed %d: got %v, want %v", seed, all, want)
		}
	}
}

// Claims that are judged at the same time, and share what they look at, are ruled
// on as each would be alone, in any order.
func TestClaimsMayBeJudgedAtOnce(t *testing.T) {
	s := retrying()
	s.seed, s.total = 1, 4*time.Second
	claims := append(callClaims(), callClaims()...)
	claims = append(claims, protects, protects, retryClaim(), Recovery{Route: "pay", Within: time.Second}, Steady{P99: time.Second},
		Timeout{Link: "payments", Route: "pay", Within: time.Second}, Timeout{Link: "payments", Route: "pay", Within: time.Millisecond},
		Retry{Link: Links{"payments", "none"}, Route: "pay", Attempts: 3})
	want := make([]Verdict, len(claims))
	for i, c := range claims {
		want[i] = c.Judge(s.run())
	}
	run := s.run()
	got := make([]Verdict, len(claims))
	var wg sync.WaitGroup
	for i, c := range claims {
		wg.Go(func() { got[i] = c.Judge(run) })
	}
	wg.Wait()
	for i := range claims {
		if diff := cmp.Diff(want[i], got[i]); diff != "" {
			t.Errorf("%s: alone and beside others: %s", claims[i], diff)
		}
	}
}
