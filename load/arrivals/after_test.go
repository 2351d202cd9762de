package arrivals

import (
	"slices"
	"testing"
	"time"
)

// What goes on has the arrivals that the whole would still have had, dealt out in
// stripes like any other.
func TestAfter(t *testing.T) {
	for name, s := range map[string]Schedule{
		"constant": Constant(100, 3*time.Second),
		"poisson":  Poisson(100, 3*time.Second, 7),
		"warmed":   Warmed(50, time.Second, Poisson(100, 3*time.Second, 7)),
	} {
		for _, from := range []time.Duration{0, 1, 1234567890, 2 * time.Second, 5 * time.Second} {
			var want []time.Duration
			for due := range s.Arrivals() {
				if due >= from {
					want = append(want, due)
				}
			}
			rest := After(s, from)
			if got := slices.Collect(rest.Arrivals()); !slices.Equal(got, want) {
				t.Errorf("%s from %v: %d arrivals, want %d", name, from, len(got), len(want))
			}
			for n := 1; n <= 3; n++ {
				got := make([]time.Duration, len(want))
				for k := range n {
					c, stop := Stripe(rest, k, n)
					for i := k; ; i += n {
						due, more := c.Next()
						if !more {
							break
						}
						got[i] = due
					}
					stop()
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s from %v in %d stripes: not the same", name, from, n)
				}
			}
			if rest.Duration() != s.Duration() || rest.Rate(from) != s.Rate(from) {
				t.Errorf("%s: its times are others", name)
			}
		}
	}
}
