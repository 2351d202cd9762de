package proxy

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestFirstAndEvery says which of ten matching exchanges are taken.
func TestFirstAndEvery(t *testing.T) {
	for _, tt := range []struct {
		selects Select
		want    []int
	}{
		{Select{Share: 1, First: 3}, []int{1, 2, 3}},
		{Select{Share: 1, First: 20}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{Select{Share: 1, Every: 3}, []int{3, 6, 9}},
		{Select{Share: 1, Every: 1}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		{Select{Share: 1, Every: 2, First: 5}, []int{2, 4}},
		{Select{Share: 1, First: 3, Match: &Match{Method: "POST"}}, nil}, // they are GETs
	} {
		a := &active{toxic: Reset{Select: tt.selects}, selects: tt.selects}
		var got []int
		for i := 1; i <= 10; i++ {
			if a.decide(headOf("GET", "/", nil), rng()).Verb == Break {
				got = append(got, i)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v: -want +got:\n%s", tt.selects, diff)
		}
	}
}

// TestOnlyWhatMatchesIsCounted by first and every.
func TestOnlyWhatMatchesIsCounted(t *testing.T) {
	s := Select{Share: 1, First: 1, Match: &Match{Method: "POST"}}
	a := &active{toxic: Reset{Select: s}, selects: s}
	var got []string
	for _, method := range []string{"GET", "POST", "GET", "POST"} {
		if a.decide(headOf(method, "/", nil), rng()).Verb == Break {
			got = append(got, method)
		}
	}
	if !slices.Equal(got, []string{"POST"}) {
		t.Errorf("took %v, want the first POST alone", got)
	}
}

func TestRamp(t *testing.T) {
	x := headOf("GET", "/", nil)
	for _, tt := range []struct {
		since time.Duration
		share float64 // of half of the exchanges
		delay time.Duration
	}{
		{0, 0, 0},
		{time.Second, 0.05, 10 * time.Millisecond}, // a tenth of the way
		{5 * time.Second, 0.25, 50 * time.Millisecond},
		{10 * time.Second, 0.5, 100 * time.Millisecond},
		{time.Minute, 0.5, 100 * time.Millisecond},
	} {
		x.Since = tt.since
		const n = 20_000
		r, taken := rng(), 0
		for range n {
			if (Reset{Select: Select{Share: 0.5, Ramp: 10 * time.Second}}).Decide(x, r).Verb == Break {
				taken++
			}
		}
		// Five standard deviations of a share of 20,000 draws are at most
		// 5·√(0.25/20000) = 0.018.
		if got := float64(taken) / n; got < tt.share-0.018 || got > tt.share+0.018 {
			t.Errorf("after %v it takes %v, want %v", tt.since, got, tt.share)
		}
		slow := Latency{Delay: 100 * time.Millisecond, Select: Select{Share: 1, Ramp: 10 * time.Second}}
		if got := slow.Decide(x, r).Delay; got != tt.delay {
			t.Errorf("after %v it delays by %v, want %v", tt.since, got, tt.delay)
		}
	}
}

func TestMaxActive(t *testing.T) {
	a := &active{selects: Select{MaxActive: 2}}
	got := []bool{a.grasp(), a.grasp(), a.grasp()}
	a.letGo()
	got = append(got, a.grasp(), a.grasp())
	if want := []bool{true, true, false, true, false}; !slices.Equal(got, want) {
		t.Errorf("got hold: %v, want %v", got, want)
	}
	free := &active{}
	for range 100 {
		if !free.grasp() {
			t.Fatal("a toxic without a bound is full")
		}
	}
}

func TestCycle(t *testing.T) {
	c := Cycle{On: 2 * time.Second, Off: 3 * time.Second}
	for _, tt := range []struct {
		since time.Duration
		on    bool
		until time.Duration
	}{
		{0, true, 2 * time.Second},
		{2*time.Second - 1, true, 2 * time.Second},
		{2 * time.Second, false, 5 * time.Second},
		{4 * time.Second, false, 5 * time.Second},
		{5 * time.Second, true, 7 * time.Second},
		{1001 * time.Second, true, 1002 * time.Second}, // 200 periods of 5 s, and 1 s
	} {
		if on, until := c.at(tt.since); on != tt.on || until != tt.until {
			t.Errorf("at %v: %v until %v, want %v until %v", tt.since, on, until, tt.on, tt.until)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		type change struct {
			At time.Duration
			On bool
		}
		var got []change
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second)
		defer cancel()
		c.run(ctx, start, func(on bool) { got = append(got, change{time.Since(start), on}) })
		want := []change{{2 * time.Second, false}, {5 * time.Second, true}, {7 * time.Second, false}, {10 * time.Second, true}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
