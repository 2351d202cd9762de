package compare

import "math"

// studentBelow is the share of Student's distribution with df degrees of freedom
// that lies below t; df of +Inf is the normal distribution. It is right to eight
// digits: the regularised incomplete beta function by its continued fraction
// (Abramowitz and Stegun 26.5.8, 26.7.1), evaluated by the method of Lentz.
func studentBelow(t, df float64) float64 {
	switch {
	case math.IsNaN(t) || math.IsNaN(df):
		return math.NaN()
	case math.IsInf(df, 1):
		return math.Erfc(-t/math.Sqrt2) / 2
	case math.IsInf(t, 0):
		return (1 + math.Copysign(1, t)) / 2
	}
	tail := incompleteBeta(df/(df+t*t), df/2, 0.5) / 2
	if t > 0 {
		return 1 - tail
	}
	return tail
}

// studentQuantile is the t below which the share p lies, with p between 0 and 1.
func studentQuantile(p, df float64) float64 {
	low, high := -1.0, 1.0
	for studentBelow(low, df) > p {
		low *= 2
	}
	for studentBelow(high, df) < p {
		high *= 2
	}
	for range 200 { // halves until no number is between them
		middle := (low + high) / 2
		if middle <= low || middle >= high {
			break
		}
		if studentBelow(middle, df) < p {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

// incompleteBeta is I_x(a, b), with x from 0 to 1.
func incompleteBeta(x, a, b float64) float64 {
	if x <= 0 {
		return 0
	}
	if x >= 1 {
		return 1
	}
	if x > (a+1)/(a+b+2) { // the fraction converges fast on the other side
		return 1 - incompleteBeta(1-x, b, a)
	}
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab-la-lb+a*math.Log(x)+b*math.Log1p(-x)) / a

	const tiny = 1e-300
	c, d := 1.0, 1/notZero(1-(a+b)*x/(a+1), tiny)
	f := d
	for m := 1.0; m < 10_000; m++ {
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		last := 0.0
		for _, term := range [...]float64{even, odd} {
			d = 1 / notZero(1+term*d, tiny)
			c = notZero(1+term/c, tiny)
			last = c * d
			f *= last
		}
		if math.Abs(last-1) < 1e-14 {
			break
		}
	}
	return front * f
}

func notZero(v, tiny float64) float64 {
	if math.Abs(v) < tiny {
		return tiny
	}
	return v
}
