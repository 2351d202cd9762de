package hist

import (
	"sort"
	"time"
)

// Sampler draws times as they were distributed in a Histogram. It does not
// change, so many may draw from it at once.
type Sampler struct {
	bars []drawn
	mean time.Duration
}

// drawn are the times that the histogram does not tell apart.
type drawn struct {
	from, to time.Duration
	below    int64 // how many times are shorter
	count    int64
}

// Sampler returns what draws from h as it is now; nil if h is empty.
func (h *Histogram) Sampler() *Sampler {
	if h.Count() == 0 {
		return nil
	}
	d := &Sampler{mean: h.Summary().Mean}
	below := int64(0)
	for b := range h.bars {
		d.bars = append(d.bars, drawn{b.from, min(b.to, Highest), below, b.count})
		below += b.count
	}
	return d
}

// Sample is the time at u, which is evenly distributed in [0, 1): u of all times
// are shorter. Among times that the histogram does not tell apart it is spread
// evenly. A nil Sampler draws 0.
func (d *Sampler) Sample(u float64) time.Duration {
	if d == nil {
		return 0
	}
	last := d.bars[len(d.bars)-1]
	rank := min(max(u, 0), 1) * float64(last.below+last.count)
	i := sort.Search(len(d.bars), func(i int) bool { return float64(d.bars[i].below) > rank }) - 1
	b := d.bars[i]
	return b.from + time.Duration((rank-float64(b.below))/float64(b.count)*float64(b.to-b.from))
}

// Mean is the mean of what it draws.
func (d *Sampler) Mean() time.Duration {
	if d == nil {
		return 0
	}
	return d.mean
}
