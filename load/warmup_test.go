package load

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWarmed(t *testing.T) {
	const s = time.Second
	measured := Stages([]Stage{{To: 4, Hold: 2 * s}, {To: 100, Over: 3 * s}}, Spacing{Poisson: true, Seed: 3})
	w := Warmed(3, 2*s, measured) // 6 arrivals: no multiple of the stripes below
	if got, want := w.Duration(), 7*s; got != want {
		t.Errorf("lasts %v, want %v", got, want)
	}
	want := slices.Collect(Constant(3, 2*s).Arrivals())
	for due := range measured.Arrivals() {
		want = append(want, 2*s+due)
	}
	if diff := cmp.Diff(want, slices.Collect(w.Arrivals())); diff != "" {
		t.Fatalf("arrivals (-want +got):\n%s", diff)
	}
	if got := DueBefore(w, 2*s); got != 6 {
		t.Errorf("%d arrivals before the end of the warm-up, want 6", got)
	}
	for n := 1; n <= 5; n++ {
		dealt := make([]time.Duration, len(want))
		for k := range n {
			c, stop := stripe(w, k, n)
			i := k
			for due, ok := c.next(); ok; due, ok = c.next() {
				dealt[i] = due
				i += n
			}
			if _, ok := c.next(); ok {
				t.Error("something is due after the end")
			}
			stop()
		}
		if diff := cmp.Diff(want, dealt); diff != "" {
			t.Errorf("in %d stripes (-want +got):\n%s", n, diff)
		}
	}
	for at, want := range map[time.Duration]float64{0: 3, 2*s - 1: 3, 2 * s: 4, 7 * s: 0} {
		if got := float64(w.Rate(at)); got != want {
			t.Errorf("rate at %v is %v, want %v", at, got, want)
		}
	}
	if Warmed(3, 0, measured) != measured {
		t.Error("no warm-up is not no warm-up")
	}
}

func TestApart(t *testing.T) {
	const warmup = 2 * time.Second
	var warm, rest []Sample
	observe := Apart(warmup, func(_ int, s Sample) { warm = append(warm, s) }, func(_ int, s Sample) { rest = append(rest, s) })
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
