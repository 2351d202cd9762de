package compare

import (
	"math"

	"github.com/stormctl/stormctl/chaos/distribution"
)

// estimate is of a difference: its mean, how far that may be off, and of how many
// degrees of freedom that is known. A positive one is a change for the worse.
type estimate struct{ mean, se, df float64 }

// sameTimes is by how much two histograms of the same times may differ, in parts:
// a quantile is known to 0.1%, which is 0.03% as a standard deviation.
const sameTimes = 0.0003

// low and high are bounds of the true difference, each with confidence 1 − alpha.
func (e estimate) low(alpha float64) float64 {
	return e.mean - distribution.StudentQuantile(1-alpha, e.df)*e.se
}
func (e estimate) high(alpha float64) float64 {
	return e.mean + distribution.StudentQuantile(1-alpha, e.df)*e.se
}

// above is the chance of a mean like this or greater if the true one were at.
func (e estimate) above(at float64) float64 { return distribution.StudentBelow((at-e.mean)/e.se, e.df) }

// below is the chance of a mean like this or less if the true one were at.
func (e estimate) below(at float64) float64 { return distribution.StudentBelow((e.mean-at)/e.se, e.df) }

// found is the least true difference that would be found to be above at, tested at
// alpha, nine times in ten.
func (e estimate) found(at, alpha float64) float64 {
	return at + (distribution.StudentQuantile(1-alpha, e.df)+distribution.StudentQuantile(0.9, e.df))*e.se
}

// atLeast is e with a standard error that is no less than floor, which is known
// and not measured.
func (e estimate) atLeast(floor float64) estimate {
	if e.se < floor {
		e.se, e.df = floor, math.Inf(1)
	}
	return e
}

// welch is of the mean of now less that of base, each of two or more draws whose
// variances may differ (Welch 1947; Satterthwaite's degrees of freedom).
func welch(base, now []float64, floor float64) estimate {
	a, b := variance(base)/float64(len(base)), variance(now)/float64(len(now))
	f := floor * floor / 2
	df := (a + b + 2*f) * (a + b + 2*f) / ((a+f)*(a+f)/float64(len(base)-1) + (b+f)*(b+f)/float64(len(now)-1))
	return estimate{mean(now) - mean(base), math.Sqrt(a + b + 2*f), df}
}

// paired is of the mean of two or more differences.
func paired(differences []float64, floor float64) estimate {
	n := float64(len(differences))
	return estimate{mean(differences), math.Hypot(math.Sqrt(variance(differences)/n), floor), n - 1}
}

// pooled is the variance within groups of draws, and its degrees of freedom: 0 if
// no group has two.
func pooled(groups ...[]float64) (v, df float64) {
	for _, g := range groups {
		if len(g) > 1 {
			v += variance(g) * float64(len(g)-1)
			df += float64(len(g) - 1)
		}
	}
	if df == 0 {
		return 0, 0
	}
	return v / df, df
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// variance is that of the law that two or more values are drawn from.
func variance(values []float64) float64 {
	m, sum := mean(values), 0.0
	for _, v := range values {
		sum += (v - m) * (v - m)
	}
	return sum / float64(len(values)-1)
}

func logs(values []float64) []float64 {
	all := make([]float64, len(values))
	for i, v := range values {
		all[i] = math.Log(v)
	}
	return all
}

// holm reports which of hypotheses are rejected at alpha over all of them, by their
// p-values (Holm 1979): the least is compared with alpha ÷ n, the next with
// alpha ÷ (n − 1), until one is not rejected.
func holm(p []float64, alpha float64) []bool {
	rejected := make([]bool, len(p))
	for left := len(p); left > 0; left-- {
		least := -1
		for i := range p {
			if !rejected[i] && (least < 0 || p[i] < p[least]) {
				least = i
			}
		}
		if !(p[least] <= alpha/float64(left)) {
			break
		}
		rejected[least] = true
	}
	return rejected
}
