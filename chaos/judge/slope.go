package judge

import (
	"math"
	"math/rand/v2"
	"slices"
)

// course is a figure over time: y[i] at x[i], by x. There are two points at least.
type course struct {
	x, y  []float64
	pairs []float64 // scratch; nil is none yet
}

func (c course) part(from, to int) course { return course{x: c.x[from:to], y: c.y[from:to]} }

// scaled is the course of a figure in another unit.
func (c course) scaled(by float64) course {
	all := course{x: c.x, y: make([]float64, len(c.y))}
	for i, y := range c.y {
		all.y[i] = y * by
	}
	return all
}

// slope is the median of the slopes between any two points (Theil–Sen): up to 29% of the
// points may be anywhere without moving it far. at is what the line through the middle of
// the points is at x = 0.
func (c course) slope() (slope, at float64) {
	slopes := c.pairs[:0]
	if c.pairs == nil {
		slopes = make([]float64, 0, len(c.x)*(len(c.x)-1)/2)
	}
	for i := range c.x {
		for j := i + 1; j < len(c.x); j++ {
			slopes = append(slopes, (c.y[j]-c.y[i])/(c.x[j]-c.x[i]))
		}
	}
	slope = middle(slopes)
	rest := make([]float64, len(c.x))
	for i := range c.x {
		rest[i] = c.y[i] - slope*c.x[i]
	}
	return slope, middle(rest)
}

// middle is the median of values in any order, which it changes; of an even number the
// upper one of the two.
func middle(values []float64) float64 {
	k := len(values) / 2
	for low, high := 0, len(values)-1; low < high; { // what is sought is between the two
		a, b, c := values[low], values[(low+high)/2], values[high]
		pivot := max(min(a, b), min(max(a, b), c))
		i, j := low, high
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for values[j] > pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case k <= j:
			high = j
		case k >= i:
			low = i
		default:
			return values[k]
		}
	}
	return values[k]
}

const (
	// resamples is how many courses are drawn to see how far a slope may be off.
	resamples = 200

	// slopeSpread is how many standard deviations of the resampled slopes the interval
	// reaches to each side. Blocks of few points know too little of what is slow, so it
	// is more than the 2.6 that 99% would take (TestGrowthOfSoundProcesses).
	slopeSpread = 3
)

// slopeInterval is what the slope may have been, given how the points lie about their
// line. What lies next to each other is alike, so that stretches of the residuals are
// drawn, not points: as if the same line had been seen again with the same ups and downs
// in another order.
func (c course) slopeInterval(seed uint64) Interval {
	slope, at := c.slope()
	n := len(c.x)
	residuals := make([]float64, n)
	for i := range c.x {
		residuals[i] = c.y[i] - at - slope*c.x[i]
	}
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	block := max(2, n/6)
	drawn := course{x: c.x, y: make([]float64, n), pairs: make([]float64, 0, n*(n-1)/2)}
	var squares float64
	for range resamples {
		for i := 0; i < n; i += block {
			copy(drawn.y[i:min(i+block, n)], residuals[rng.IntN(n-block+1):])
		}
		s, _ := drawn.slope()
		squares += s * s
	}
	half := slopeSpread * math.Sqrt(squares/resamples)
	return Interval{slope - half, slope + half}
}

// rise is how fast it went from the median of the first tenth of the points to that of
// the last: a line through all of them does not see what began late.
func (c course) rise() float64 {
	n := len(c.x)
	tenth := max(1, n/10)
	first, last := c.part(0, tenth), c.part(n-tenth, n)
	mid := func(v []float64) float64 { return middle(slices.Clone(v)) }
	return (mid(last.y) - mid(first.y)) / (mid(last.x) - mid(first.x))
}

// jumps is what part of the rise from the first point to the last came in a few jumps, one
// for every 15 points: 1 is all of it. Single points that lie apart are no jumps.
func (c course) jumps() float64 {
	const around = 2
	level := make([]float64, 0, len(c.y))
	for i := around; i < len(c.y)-around; i++ {
		level = append(level, middle(slices.Clone(c.y[i-around:i+around+1])))
	}
	var by []float64
	for i := 1; i < len(level); i++ {
		by = append(by, level[i]-level[i-1])
	}
	slices.Sort(by)
	slices.Reverse(by)
	var most float64
	for _, jump := range by[:min(max(1, len(c.y)/15), len(by))] {
		most += max(0, jump)
	}
	return most / (level[len(level)-1] - level[0])
}
