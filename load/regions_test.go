package load

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/load/arrivals"
)

// Of each round every region has its part, no more and no less, wherever the round
// begins: and so of all arrivals, but for those of the last round.
func TestRegionsHaveTheirPartsExactly(t *testing.T) {
	for _, c := range []struct {
		parts Regions
		round int
	}{
		{Regions{60_000, 40_000}, 5}, {Regions{1}, 1}, {Regions{1, 1}, 2}, {Regions{50_000, 30_000, 20_000}, 10},
		{Regions{33_300, 33_300, 33_400}, 1000}, {Regions{99_999, 1}, 100_000}, {Regions{7, 11, 13}, 31},
	} {
		for _, seed := range []uint64{0, 1, 7, 1 << 63} {
			d := newDeal(seed, c.parts)
			if int(d.round) != c.round {
				t.Errorf("%v: a round of %d, want %d", c.parts, d.round, c.round)
			}
			sum := uint64(0)
			for _, part := range c.parts {
				sum += part
			}
			for round := range 7 {
				got := make([]int, len(c.parts))
				for i := range c.round {
					got[d.region(uint64(round*c.round+i+1))]++
				}
				for i, part := range c.parts {
					if want := int(part * uint64(c.round) / sum); got[i] != want {
						t.Fatalf("%v, seed %d, round %d: region %d has %d arrivals of %d, want %d", c.parts, seed, round, i, got[i], c.round, want)
					}
				}
			}
		}
	}
}

// No region goes without arrivals for long, nor has all of them for long: in 100
// arrivals in a row, of which a region has p, it has p ± 4.
func TestRegionsAreSpread(t *testing.T) {
	for _, parts := range []Regions{{6, 4}, {33_300, 33_300, 33_400}, {90_001, 9_999}} {
		d := newDeal(3, parts)
		sum := uint64(0)
		for _, part := range parts {
			sum += part
		}
		for first := uint64(1); first < 3000; first += 17 {
			got := make([]int, len(parts))
			for i := range uint64(100) {
				got[d.region(first+i)]++
			}
			for i, part := range parts {
				if want := int(100 * part / sum); got[i] < want-4 || got[i] > want+4 {
					t.Errorf("%v: region %d has %d of the 100 arrivals from %d on, want %d ± 4", parts, i, got[i], first, want)
				}
			}
		}
	}
}

// The region depends on the seed and the number alone, and the kind of request is the
// one that the arrival would have without regions: by weight, or in turn.
func TestRegionsLeaveTheKindsAsTheyWere(t *testing.T) {
	kinds := []Route{{Name: "buy", Weight: 3}, {Name: "look"}}
	var both []Route
	for _, r := range kinds {
		both = append(both, r, r)
	}
	for _, inTurn := range []bool{false, true} {
		plain := pickerOf(Plan{Seed: 5, Routes: kinds, InOrder: inTurn})
		dealt := pickerOf(Plan{Seed: 5, Routes: both, InOrder: inTurn, Regions: Regions{6, 4}})
		other := pickerOf(Plan{Seed: 6, Routes: both, InOrder: inTurn, Regions: Regions{6, 4}})
		pairs, differ := map[[2]int]int{}, 0
		for id := uint64(1); id <= 10_000; id++ {
			route := dealt.route(id)
			if route/2 != plain.route(id) {
				t.Fatalf("in turn %v: arrival %d is of kind %d, and of %d without regions", inTurn, id, route/2, plain.route(id))
			}
			pairs[[2]int{route / 2, route % 2}]++
			if route%2 != other.route(id)%2 {
				differ++
			}
		}
		if len(pairs) != 4 {
			t.Errorf("in turn %v: not every kind comes from every region: %v", inTurn, pairs)
		}
		if differ == 0 {
			t.Errorf("in turn %v: another seed deals in the same way", inTurn)
		}
	}
}

// Several processes send together what one would send, from the same regions.
func TestRegionsOfStripesAreThoseOfOne(t *testing.T) {
	plan := func(s Stripes, loops int) Plan {
		return Plan{Schedule: arrivals.Constant(rate.Limit(500), time.Second), Seed: 9, Run: 1, Loops: loops, Stripes: s, Regions: Regions{2, 1},
			Routes: []Route{{Name: "buy@eu"}, {Name: "buy@us"}, {Name: "look@eu"}, {Name: "look@us"}}}
	}
	said := func(plans ...Plan) (all []string) {
		for _, p := range plans {
			for s := range Due(p) {
				all = append(all, fmt.Sprintf("%06d %s %v", s.ID, p.Routes[s.Route].Name, s.Intended))
			}
		}
		slices.Sort(all)
		return all
	}
	one := said(plan(Stripes{}, 1))
	three := said(plan(Stripes{First: 0, Of: 3}, 1), plan(Stripes{First: 1, Of: 3}, 2))
	if len(one) != 500 || !slices.Equal(one, three) {
		t.Errorf("%d arrivals of one process, %d of two, and not the same", len(one), len(three))
	}
}

func TestRegionsAreRefused(t *testing.T) {
	for _, c := range []struct {
		parts  Regions
		routes int
	}{{Regions{1, 0}, 2}, {Regions{1, 1}, 3}, {Regions{1 << 31, 1}, 2}, {Regions{1 << 63, 1 << 63}, 2}} {
		if err := c.parts.check(c.routes); err == nil {
			t.Errorf("%v of %d routes: no error", c.parts, c.routes)
		}
	}
	if err := (Regions{6, 4}).check(4); err != nil {
		t.Error(err)
	}
}

// It is on the path of each arrival.
func TestRegionDoesNotAllocate(t *testing.T) {
	p := pickerOf(Plan{Seed: 1, Routes: make([]Route, 6), Regions: Regions{60_000, 40_000}})
	id := uint64(0)
	if n := testing.AllocsPerRun(1000, func() { id++; p.route(id) }); n != 0 {
		t.Errorf("%v allocations for an arrival", n)
	}
}

func BenchmarkPickWithRegions(b *testing.B) {
	p := pickerOf(Plan{Seed: 1, Routes: make([]Route, 8), Regions: Regions{60_000, 40_000}})
	id := uint64(0)
	for b.Loop() {
		id++
		p.route(id)
	}
}
