package judge

import (
	"math"
	"slices"
	"time"
)

// variation is the coefficient of variation: the standard deviation of the
// population in parts of its mean. No durations or a mean of 0 give 0.
func variation(ds []time.Duration) float64 {
	if len(ds) == 0 {
		return 0
	}
	var sum float64
	for _, d := range ds {
		sum += float64(d)
	}
	mean := sum / float64(len(ds))
	if mean == 0 {
		return 0
	}
	var squares float64
	for _, d := range ds {
		squares += (float64(d) - mean) * (float64(d) - mean)
	}
	return math.Sqrt(squares/float64(len(ds))) / math.Abs(mean)
}

// scoreInterval is where the true share lies when hits in n were seen, z
// standard deviations to either side (Wilson 1927). Unlike the textbook p ± z·σ
// it stays right at 0 and at 1. n = 0 gives 0 to 1: anything is possible.
func scoreInterval(hits, n int, z float64) (lo, hi float64) {
	if n <= 0 {
		return 0, 1
	}
	p, m, zz := float64(hits)/float64(n), float64(n), z*z
	centre := p + zz/(2*m)
	half := z * math.Sqrt(p*(1-p)/m+zz/(4*m*m))
	return max((centre-half)/(1+zz/m), 0), min((centre+half)/(1+zz/m), 1)
}

// uniformDistance is the Kolmogorov–Smirnov distance of the values from the
// uniform law on 0 to 1: the greatest difference between their cumulative
// shares and the diagonal. No values give 0.
func uniformDistance(values []float64) float64 {
	u := slices.Clone(values)
	slices.Sort(u)
	n := float64(len(u))
	var d float64
	for i, x := range u {
		x = min(max(x, 0), 1)
		d = max(d, float64(i+1)/n-x, x-float64(i)/n)
	}
	return d
}

// kolmogorov is the chance that n values drawn from the law itself lie at
// least the distance d from it: the series of Kolmogorov with the correction
// for small n of Stephens (1970). It is good to two digits from n = 5 on.
func kolmogorov(n int, d float64) float64 {
	if n <= 0 || d <= 0 {
		return 1
	}
	root := math.Sqrt(float64(n))
	x := (root + 0.12 + 0.11/root) * d
	if x < 0.2 {
		return 1 // the series converges too slowly here; the chance is 1 to ten digits
	}
	var sum float64
	for j, sign := 1, 1.0; j <= 100; j, sign = j+1, -sign {
		term := math.Exp(-2 * float64(j*j) * x * x)
		sum += sign * term
		if term < 1e-12 {
			break
		}
	}
	return min(max(2*sum, 0), 1)
}

// poissonTail is the chance of seeing k or more where mean are expected.
func poissonTail(k int, mean float64) float64 {
	if k <= 0 {
		return 1
	}
	if mean <= 0 {
		return 0
	}
	// Sum upwards from k: the terms fall off fast in the cases of interest.
	var sum float64
	for i := k; i < k+1000; i++ {
		logFactorial, _ := math.Lgamma(float64(i) + 1)
		term := math.Exp(float64(i)*math.Log(mean) - mean - logFactorial)
		sum += term
		if float64(i) > mean && term < 1e-12*sum {
			break
		}
	}
	return min(sum, 1)
}
