package judge

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestVariation(t *testing.T) {
	for _, row := range []struct {
		in   []time.Duration
		want float64
	}{
		{nil, 0},
		{[]time.Duration{0, 0}, 0},
		{[]time.Duration{5, 5, 5}, 0},
		{[]time.Duration{2, 4, 4, 4, 5, 5, 7, 9}, 0.4}, // mean 5, deviation 2
	} {
		if got := variation(row.in); math.Abs(got-row.want) > 1e-12 {
			t.Errorf("variation(%v) = %v, want %v", row.in, got, row.want)
		}
	}
}

func TestScoreInterval(t *testing.T) {
	for _, row := range []struct {
		hits, n int
		z       float64
		lo, hi  float64
	}{
		{0, 0, 2, 0, 1},
		{0, 10, 1.96, 0, 0.2775},        // z²/(n+z²) = 3.8416/13.8416
		{10, 10, 1.96, 0.7225, 1},       // its mirror
		{50, 100, 1.96, 0.4038, 0.5962}, // the usual textbook row
	} {
		lo, hi := scoreInterval(row.hits, row.n, row.z)
		if math.Abs(lo-row.lo) > 1e-4 || math.Abs(hi-row.hi) > 1e-4 {
			t.Errorf("scoreInterval(%d, %d, %v) = %.4f, %.4f, want %.4f, %.4f", row.hits, row.n, row.z, lo, hi, row.lo, row.hi)
		}
	}
}

func TestUniformDistance(t *testing.T) {
	for _, row := range []struct {
		in   []float64
		want float64
	}{
		{nil, 0},
		{[]float64{0.5}, 0.5},   // the step from 0 to 1 at a half
		{[]float64{0, 0, 0}, 1}, // all at one end
		{[]float64{0.875, 0.125, 0.625, 0.375}, 0.125}, // as even as four can be: 1/(2n)
		{[]float64{-3, 7}, 0.5},                        // outside counts as at the edge
	} {
		if got := uniformDistance(row.in); math.Abs(got-row.want) > 1e-12 {
			t.Errorf("uniformDistance(%v) = %v, want %v", row.in, got, row.want)
		}
	}
}

// TestKolmogorov compares with the asymptotic critical values in every table:
// K(1.36) = 5%, K(1.63) = 1%, K(1.22) = 10%.
func TestKolmogorov(t *testing.T) {
	const n = 1_000_000 // so many that Stephens' correction vanishes
	for _, row := range []struct{ x, want float64 }{{1.2238, 0.10}, {1.3581, 0.05}, {1.6276, 0.01}, {0.1, 1}} {
		if got := kolmogorov(n, row.x/math.Sqrt(n)); math.Abs(got-row.want) > 2e-4 {
			t.Errorf("kolmogorov at %v = %.5f, want %v", row.x, got, row.want)
		}
	}
	if got := kolmogorov(0, 0.3); got != 1 {
		t.Errorf("nothing seen proves something: %v", got)
	}
}

// TestKolmogorovIsUniform draws from the law itself: the p-value is then
// uniform, so 5% of the draws lie below 5%.
func TestKolmogorovIsUniform(t *testing.T) {
	const seed, draws, n = 1, 4000, 40
	rng := rand.New(rand.NewPCG(seed, 0))
	below := 0
	for range draws {
		u := make([]float64, n)
		for i := range u {
			u[i] = rng.Float64()
		}
		if kolmogorov(n, uniformDistance(u)) < 0.05 {
			below++
		}
	}
	// 200 expected, standard deviation √(4000·0.05·0.95) = 14: five of them to either side.
	if below < 130 || below > 270 {
		t.Errorf("seed %d: %d of %d draws below 5%%, want about 200", seed, below, draws)
	}
}

func TestPoissonTail(t *testing.T) {
	for _, row := range []struct {
		k    int
		mean float64
		want float64
	}{
		{0, 5, 1},
		{1, 0, 0},
		{1, 1, 1 - math.Exp(-1)},
		{2, 1, 1 - 2*math.Exp(-1)},
		{3, 10, 1 - math.Exp(-10)*(1+10+50)},
	} {
		if got := poissonTail(row.k, row.mean); math.Abs(got-row.want) > 1e-9 {
			t.Errorf("poissonTail(%d, %v) = %v, want %v", row.k, row.mean, got, row.want)
		}
	}
}
