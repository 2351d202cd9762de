package distribution

import "math"

// StudentBelow is the share of Student's distribution with df degrees of freedom
// that lies below t; df of +Inf is the normal distribution. It is right to eight
// digits (Abramowitz and Stegun 26.7.1).
func StudentBelow(t, df float64) float64 {
	switch {
	case math.IsNaN(t) || math.IsNaN(df):
		return math.NaN()
	case math.IsInf(df, 1):
		return math.Erfc(-t/math.Sqrt2) / 2
	case math.IsInf(t, 0):
		return (1 + math.Copysign(1, t)) / 2
	}
	tail := BetaBelow(df/(df+t*t), df/2, 0.5) / 2
	if t > 0 {
		return 1 - tail
	}
	return tail
}

// StudentQuantile is the t below which the share p lies, with p between 0 and 1.
func StudentQuantile(p, df float64) float64 {
	low, high := -1.0, 1.0
	for StudentBelow(low, df) > p {
		low *= 2
	}
	for StudentBelow(high, df) < p {
		high *= 2
	}
	return halved(low, high, func(t float64) bool { return StudentBelow(t, df) < p })
}

// halved is where below ceases to be true between low and high, to the last digit.
func halved(low, high float64, below func(float64) bool) float64 {
	for range 200 { // halves until no number is between them
		middle := (low + high) / 2
		if middle <= low || middle >= high {
			break
		}
		if below(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}
