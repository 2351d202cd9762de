package distribution

import (
	"math"
	"testing"
)

// The quantiles of printed tables: NIST/SEMATECH, Engineering Statistics Handbook
// 1.3.6.7.2; those of 1 and 2 degrees of freedom have a closed form.
func TestStudentQuantile(t *testing.T) {
	for _, c := range []struct {
		p, df, want, within float64
	}{
		{0.975, 1, math.Tan(math.Pi * 0.475), 1e-9}, {0.999, 1, math.Tan(math.Pi * 0.499), 1e-6},
		{0.95, 2, 0.9 * math.Sqrt(2/(4*0.95*0.05)), 1e-9}, // (2p − 1) √(2 / (4p(1 − p)))
		{0.95, 4, 2.132, 5e-4}, {0.975, 4, 2.776, 5e-4}, {0.995, 4, 4.604, 5e-4},
		{0.95, 8, 1.860, 5e-4}, {0.975, 30, 2.042, 5e-4}, {0.95, 100, 1.660, 5e-4},
		{0.95, math.Inf(1), 1.644853627, 1e-8}, {0.95, 1e7, 1.644854, 1e-5},
		{0.5, 3.7, 0, 1e-7}, {0.05, 4, -2.132, 5e-4},
	} {
		if got := StudentQuantile(c.p, c.df); math.Abs(got-c.want) > c.within {
			t.Errorf("quantile %v of %v degrees: got %v, want %v", c.p, c.df, got, c.want)
		}
	}
}

// A quantile is where its share lies below, on both sides of 0 and of where the
// fraction changes to the other tail.
func TestStudentQuantileIsTheInverse(t *testing.T) {
	for _, df := range []float64{1, 1.5, 4, 9.3, 40, 1e4, math.Inf(1)} {
		for _, p := range []float64{1e-6, 0.01, 0.3, 0.5, 0.77, 0.999} {
			if got := StudentBelow(StudentQuantile(p, df), df); math.Abs(got-p) > 1e-10*max(1, 1/p)*p {
				t.Errorf("%v degrees: %v comes back as %v", df, p, got)
			}
		}
	}
	if got := StudentBelow(math.Inf(1), 3); got != 1 {
		t.Errorf("below infinity lie %v", got)
	}
}
