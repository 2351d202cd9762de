package arrivals

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
			c, stop := Stripe(w, k, n)
			i := k
			for due, ok := c.Next(); ok; due, ok = c.Next() {
				dealt[i] = due
				i += n
			}
			if _, ok := c.Next(); ok {
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
