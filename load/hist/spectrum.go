package hist

import (
	"math"
	"time"
)

// Bin is how many times fell in (From, To].
type Bin struct {
	From, To time.Duration
	Count    int64
}

// steps are the ends of a decade's bins: round figures that grow by about half.
var steps = [...]float64{1, 1.5, 2, 3, 5, 7}

// Spectrum is the distribution in bins that grow by about half, from that of
// the shortest time to that of the longest; empty ones between are in it.
func (h *Histogram) Spectrum() []Bin {
	var bins []Bin
	edge := edges()
	from, to := time.Duration(0), edge()
	for b := range h.bars {
		for bins == nil || b.from > to {
			for b.from > to && bins == nil {
				from, to = to, edge()
			}
			if bins != nil {
				from, to = to, edge()
			}
			bins = append(bins, Bin{From: from, To: to})
		}
		bins[len(bins)-1].Count += b.count
	}
	return bins
}

// edges returns one end of a bin after the other, from a microsecond on.
func edges() func() time.Duration {
	i := 0
	return func() time.Duration {
		v := steps[i%len(steps)] * math.Pow10(i/len(steps)) * float64(time.Microsecond)
		i++
		return time.Duration(math.Round(v))
	}
}
