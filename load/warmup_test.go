package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestApart(t *testing.T) {
	const warmup = 2 * time.Second
	var warm, rest []Sample
	observe := SplitWarmup(warmup, func(_ int, s Sample) { warm = append(warm, s) }, func(_ int, s Sample) { rest = append(rest, s) })
	slow := Sample{ID: 1, Intended: warmup - 1, Sent: warmup + 1, Done: warmup + 5}
	sent := Sample{ID: 2, Intended: warmup, Sent: warmup + 1, Done: warmup + 5, Late: 1}
	unsent := Sample{ID: 3, Intended: warmup + 3, Done: warmup + 9, Outcome: Unsent}
	for _, s := range []Sample{slow, sent, unsent} {
		observe(0, s)
	}
	if diff := cmp.Diff([]Sample{slow}, warm); diff != "" {
		t.Errorf("warm-up (-want +got):\n%s", diff)
	}
	want := []Sample{{ID: 2, Intended: 0, Sent: 1, Done: 5, Late: 1}, {ID: 3, Intended: 3, Done: 9, Outcome: Unsent}}
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Errorf("what counts (-want +got):\n%s", diff)
	}
}

// A warm-up is told of every second, and so is what follows it.
func TestNextSecond(t *testing.T) {
	for _, c := range []struct{ at, want time.Duration }{
		{-3950 * time.Millisecond, -3 * time.Second},
		{-4 * time.Second, -3 * time.Second},
		{-1, 0},
		{0, time.Second},
		{999 * time.Millisecond, time.Second},
		{time.Second, 2 * time.Second},
	} {
		if got := NextSecond(c.at); got != c.want {
			t.Errorf("after %v: %v, want %v", c.at, got, c.want)
		}
	}
}
