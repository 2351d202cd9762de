package distribution

import (
	"math"
	"testing"
)

// Shares that have a closed form: with b = 1 the share below x is x^a, with a = 1
// it is 1 − (1 − x)^b, and for whole numbers it is a sum of binomial terms.
func TestBetaBelow(t *testing.T) {
	for _, c := range []struct{ x, a, b, want float64 }{
		{0.3, 2, 1, 0.09}, {0.3, 1, 2, 0.51}, {0.5, 7.3, 7.3, 0.5},
		{1e-4, 1, 29956, 1 - math.Exp(29956*math.Log1p(-1e-4))},
		// P(at least 2 of 3 at 0.2) = 3·0.04·0.8 + 0.008
		{0.2, 2, 2, 0.104},
		{0, 2, 3, 0}, {1, 2, 3, 1}, {-1, 2, 3, 0}, {2, 2, 3, 1},
	} {
		if got := BetaBelow(c.x, c.a, c.b); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("below %v with %v and %v: got %v, want %v", c.x, c.a, c.b, got, c.want)
		}
	}
}

func TestBetaQuantileIsTheInverse(t *testing.T) {
	for _, ab := range [][2]float64{{1, 29956}, {0.3, 10}, {3.7, 4.2e5}, {40, 1}, {1000, 1e7}} {
		for _, p := range []float64{1e-6, 0.05, 0.5, 0.95, 0.9999} {
			x := BetaQuantile(p, ab[0], ab[1])
			if got := BetaBelow(x, ab[0], ab[1]); math.Abs(got-p) > 1e-6*p {
				t.Errorf("%v: %v of %v comes back as %v", ab, x, p, got)
			}
		}
	}
}
