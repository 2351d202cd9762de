package distribution

import "math"

// BetaBelow is the share of the beta distribution with the parameters a and b, both
// above 0, that lies below x: the regularised incomplete beta function by its
// continued fraction (Abramowitz and Stegun 26.5.8), evaluated by the method of Lentz.
func BetaBelow(x, a, b float64) float64 {
	if x <= 0 {
		return 0
	}
	if x >= 1 {
		return 1
	}
	if x > (a+1)/(a+b+2) { // the fraction converges fast on the other side
		return 1 - BetaBelow(1-x, b, a)
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

// BetaQuantile is the x below which the share p of the beta distribution lies.
func BetaQuantile(p, a, b float64) float64 {
	return halved(0, 1, func(x float64) bool { return BetaBelow(x, a, b) < p })
}

func notZero(v, tiny float64) float64 {
	if math.Abs(v) < tiny {
		return tiny
	}
	return v
}
