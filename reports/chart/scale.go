package chart

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// Fit sets the ends of the y axis by what is drawn, unless they are given, and its
// ticks. It is to be called once, when all is in the chart.
func (c *Chart) Fit() {
	if c.Y.Min == 0 && c.Y.Max == 0 {
		c.Y.Min, c.Y.Max = c.ends()
	}
	if c.X.Log {
		c.X.Ticks = c.X.logTicks(6)
	}
	if len(c.Lanes) == 0 {
		c.Y.Ticks = c.Y.ticks(max(2, c.plot()/38))
		c.Y.tellApart()
	}
}

// tellApart takes as many digits as it takes.
func (a *Axis) tellApart() {
	for a.Digits = 0; a.Digits < mostDigits; a.Digits = max(a.Digits, usualDigits) + 1 {
		texts := map[string]bool{}
		for _, v := range a.Ticks {
			texts[a.text(v)] = true
		}
		if len(texts) == len(a.Ticks) {
			return
		}
	}
}

// plot is the height of the plot in pixels.
func (c *Chart) plot() int {
	switch {
	case len(c.Lanes) > 0:
		return laneRow*len(c.Lanes) + 4
	case c.Height == 0:
		return usualHeight
	}
	return c.Height
}

// ends are those of a y axis that has all that is drawn.
func (c *Chart) ends() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	see := func(v float64) {
		if math.IsNaN(v) || math.IsInf(v, 0) || c.Y.Log && v <= 0 {
			return
		}
		low, high = min(low, v), max(high, v)
	}
	for _, s := range c.Series {
		for _, v := range s.Y {
			see(v)
		}
		for _, v := range s.Low {
			see(v)
		}
	}
	for _, m := range c.Marks {
		if !m.X {
			see(m.At)
		}
	}
	switch {
	case math.IsInf(low, 1): // nothing is drawn
		low, high = 0, 1
		if c.Y.Log {
			low = 0.1
		}
	case c.Y.Log:
		low = math.Pow(10, math.Floor(math.Log10(low)))
		high = max(logCeil(high*1.05), low*10)
	case c.dotted() && high-low > 1e-6*max(math.Abs(low), math.Abs(high)):
		// How points change is to be seen, not how far they are from 0.
		low, high = low-(high-low)*0.1, high+(high-low)*0.1
	case c.dotted(): // they do not: a line in the middle
		room := cmp.Or(math.Abs(high)/4, 1)
		low, high = low-room, high+room
	default:
		low = min(low, 0)
		if c.Y.Kind == Share {
			high = max(high, 0.1)
		}
		if high-low < 1e-9 {
			high = low + 1
		}
		high = low + (high-low)*1.12 // room for a label on top
	}
	return low, high
}

func (c *Chart) dotted() bool {
	return slices.ContainsFunc(c.Series, func(s Series) bool { return s.Dots })
}

// logCeil is the next 1, 2 or 5 of a power of ten.
func logCeil(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*power {
			return m * power
		}
	}
	return 10 * power
}

// at is where v is on the axis, 0 at its beginning and 1 at its end. What is beyond
// the ends is at them.
func (a Axis) at(v float64) float64 {
	low, high := a.Min, a.Max
	if a.Log {
		v, low, high = math.Log10(max(v, a.Min)), math.Log10(a.Min), math.Log10(a.Max)
	}
	if high <= low {
		return 0
	}
	return min(1, max(0, (v-low)/(high-low)))
}

// ticks are the values that are written along the axis, about so many.
func (a Axis) ticks(about int) []float64 {
	switch {
	case a.Kind == Quantile:
		return upTo(a.Max, 0, 1, 1)
	case a.Log:
		return a.logTicks(about)
	case a.Kind == Time:
		return upTo(a.Max, a.Min, timeStep((a.Max-a.Min)/float64(about)), 0)
	}
	step := niceStep((a.Max - a.Min) / float64(about))
	if step > a.Max-a.Min { // which would leave 0 alone
		step = niceStep((a.Max - a.Min) / 2.5)
	}
	if a.Kind == Count {
		step = max(step, 1)
	}
	return upTo(a.Max, a.Min, step, 0)
}

// upTo are the multiples of step from low to high, and as many more as least says.
func upTo(high, low, step float64, least int) (all []float64) {
	if step <= 0 || math.IsNaN(step) || math.IsInf(step, 0) {
		return nil
	}
	for i := math.Ceil(low/step - 1e-9); i*step <= high*(1+1e-9) && len(all) < 50; i++ {
		all = append(all, i*step+0) // not −0
	}
	for len(all) < least {
		all = append(all, low+float64(len(all))*step)
	}
	return all
}

func (a Axis) logTicks(about int) (all []float64) {
	low, high := math.Floor(math.Log10(a.Min)+1e-9), math.Log10(a.Max)
	stride := max(1, math.Ceil((high-low)/float64(about)))
	for p := low; p <= high+1e-9; p += stride {
		all = append(all, math.Pow(10, p))
	}
	var finer []float64
	for p := low; p <= high; p++ {
		for _, m := range []float64{1, 2, 5} {
			if v := m * math.Pow(10, p); v >= a.Min*(1-1e-9) && v <= a.Max*(1+1e-9) {
				finer = append(finer, v)
			}
		}
	}
	if len(all) > 2 || len(finer) > about+1 {
		return all
	}
	return finer
}

// niceStep is the next 1, 2 or 5 of a power of ten.
func niceStep(raw float64) float64 {
	if raw <= 0 || math.IsNaN(raw) || math.IsInf(raw, 0) {
		return 1
	}
	return logCeil(raw)
}

// timeSteps are those that a clock has, in seconds.
var timeSteps = []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400}

func timeStep(raw float64) float64 {
	if raw < 1 {
		return niceStep(raw)
	}
	for _, s := range timeSteps {
		if raw <= s {
			return s
		}
	}
	return 86400 * niceStep(raw/86400)
}

// text writes a value of the axis.
func (a Axis) text(v float64) string {
	n := cmp.Or(a.Digits, usualDigits)
	switch a.Kind {
	case Time:
		return Clock(v, a.Max)
	case Millis:
		return millis(v, n)
	case Share:
		return digits(100*v, n) + "%"
	case Percent:
		return digits(v, n) + "%"
	case Quantile:
		if v == 0 {
			return "0"
		}
		// 1 − 10^−v, exact in decimal: 90%, 99%, 99.9%.
		return strconv.FormatFloat(100*(1-math.Pow(10, -v)), 'f', max(0, int(math.Round(v))-2), 64) + "%"
	case Rate:
		return thousands(v, n) + "/s"
	}
	return thousands(v, n)
}

// Clock writes a time of an axis that ends at last, both in seconds: 5s, 2:05,
// 1:02:05.
func Clock(v, last float64) string {
	switch {
	case last < 120:
		return digits(v, usualDigits) + "s"
	case last < 2*3600:
		whole := int(math.Round(v))
		return strconv.Itoa(whole/60) + ":" + two(whole%60)
	default:
		whole := int(math.Round(v))
		return strconv.Itoa(whole/3600) + ":" + two(whole/60%60) + ":" + two(whole%60)
	}
}

func two(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

func millis(v float64, n int) string {
	if math.Abs(v) >= 1000 {
		return digits(v/1000, n) + "s"
	}
	return digits(v, n) + "ms"
}

// thousands writes 1500 as 1.5k.
func thousands(v float64, n int) string {
	for _, u := range []struct {
		from float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= u.from {
			return digits(v/u.from, n) + u.name
		}
	}
	return digits(v, n)
}

// The significant digits of a tick.
const (
	usualDigits = 3
	mostDigits  = 9
)

// digits writes at most n significant digits; whole numbers keep theirs.
func digits(v float64, n int) string {
	if v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	y, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', n, 64), 64)
	if err != nil {
		return strconv.FormatFloat(v, 'g', n, 64)
	}
	return strconv.FormatFloat(y, 'f', -1, 64)
}
