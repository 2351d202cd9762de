package compare

import (
	"math"
	"testing"
)

func TestWelch(t *testing.T) {
	// Means 20 and 22, variances 1 and 4, four draws each: se² = 1/4 + 4/4, and
	// df = 1.25² / ((1/4)²/3 + 1²/3) = 1.5625 / 0.354167.
	base, now := []float64{19, 19, 21, 21}, []float64{20, 20, 24, 24}
	for i := range base {
		base[i] = 20 + (base[i]-20)*math.Sqrt(0.75)
		now[i] = 22 + (now[i]-22)*math.Sqrt(0.75)
	}
	e := welch(base, now, 0)
	for _, c := range []struct{ got, want float64 }{{e.mean, 2}, {e.se, math.Sqrt(1.25)}, {e.df, 1.5625 / 0.3541666667}} {
		if math.Abs(c.got-c.want) > 1e-6 {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
}

func TestHolm(t *testing.T) {
	for _, c := range []struct {
		p    []float64
		want []bool
	}{
		{[]float64{0.01, 0.02, 0.9}, []bool{true, true, false}},    // 0.01 ≤ 0.05/3, 0.02 ≤ 0.05/2
		{[]float64{0.02, 0.02, 0.9}, []bool{false, false, false}},  // 0.02 > 0.05/3: the first one ends it
		{[]float64{0.9, 0.0001, 0.04}, []bool{false, true, false}}, // 0.04 > 0.05/2
		{[]float64{0.05}, []bool{true}},
		{[]float64{math.NaN()}, []bool{false}},
		{nil, nil},
	} {
		got := holm(c.p, alpha)
		for i := range c.want {
			if got[i] != c.want[i] {
				t.Errorf("%v: got %v, want %v", c.p, got, c.want)
				break
			}
		}
	}
}
