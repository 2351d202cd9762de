package link

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Whatever touches an exchange, in whatever order and however often, is in its record
// once, and counted once.
func TestTouch(t *testing.T) {
	const seed = 5
	rng := rand.New(rand.NewPCG(seed, 0))
	var c Counters
	want := map[int]uint64{}
	for range 2000 {
		var x Record
		var hit []int
		for range rng.IntN(12) {
			index := rng.IntN(MaxIndex + 1)
			if rng.IntN(2) == 0 {
				index = 60 + rng.IntN(8) // on either side of where bits end
			}
			m, err := c.Mark(index)
			if err != nil {
				t.Fatal(err)
			}
			if c.Touch(&x, m); !slices.Contains(hit, index) {
				hit = append(hit, index)
				want[index]++
			}
		}
		slices.Sort(hit)
		if got := slices.Collect(x.Hits()); !slices.Equal(got, hit) {
			t.Fatalf("seed %d: touched by %v, want %v", seed, got, hit)
		}
		for index := range MaxIndex + 2 {
			if x.HitBy(index) != slices.Contains(hit, index) {
				t.Fatalf("seed %d: hit by %d: %v, want %v", seed, index, x.HitBy(index), hit)
			}
		}
		if x.Extra().Further != nil && len(hit) > 0 && hit[len(hit)-1] < evidence.FaultBits {
			t.Fatalf("%v took a set beside its bits", hit)
		}
	}
	for index := range MaxIndex + 2 {
		if got := c.Hit(index); got != want[index] {
			t.Errorf("fault %d: %d hits, want %d", index, got, want[index])
		}
	}
	for _, index := range []int{-1, MaxIndex + 1} {
		if _, err := c.Mark(index); err == nil {
			t.Errorf("there is a mark %d", index)
		}
	}
}

// What others were touched by before allocates nothing, however many faults there are.
func TestTouchAllocatesNothing(t *testing.T) {
	var c Counters
	var marks []*Mark
	for index := range MaxIndex + 1 {
		m, err := c.Mark(index)
		if err != nil {
			t.Fatal(err)
		}
		marks = append(marks, m)
	}
	touch := func() {
		var one, all Record
		c.Touch(&one, marks[700])
		for _, m := range marks {
			c.Touch(&all, m)
		}
	}
	if n := testing.AllocsPerRun(100, touch); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Sets of which no two are equal are not kept for ever, and none is wrong for it.
func TestSetsAreFew(t *testing.T) {
	var c Counters
	mark := func(index int) *Mark {
		m, err := c.Mark(index)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	var wg sync.WaitGroup
	for worker := range 2 {
		wg.Go(func() {
			for a := 100 + worker; a < 200; a += 2 {
				for b := range 100 {
					var x Record
					c.Touch(&x, mark(a))
					c.Touch(&x, mark(200+b))
					if got := slices.Collect(x.Hits()); !slices.Equal(got, []int{a, 200 + b}) {
						t.Errorf("touched by %v, want %d and %d", got, a, 200+b)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := c.marks.sets.Load(); n < mostSets || n > mostSets+2 {
		t.Errorf("%d sets are kept, want about %d of 10,000", n, mostSets)
	}
}
