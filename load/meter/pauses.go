package meter

import (
	"math"
	"runtime/metrics"
	"slices"
	"time"
)

// pauses are those of Go's runtime to collect garbage: whatever this process
// does stands still meanwhile.
type pauses struct {
	counts []uint64 // by bucket, until the last read
	sample [1]metrics.Sample
}

func startPauses() *pauses {
	p := &pauses{}
	p.sample[0].Name = "/sched/pauses/total/gc:seconds"
	p.longest()
	return p
}

// longest is the upper end of the bucket that the longest pause since the last
// call fell in; 0 if there was none.
func (p *pauses) longest() time.Duration {
	metrics.Read(p.sample[:])
	if p.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	h := p.sample[0].Value.Float64Histogram()
	if p.counts == nil {
		p.counts = slices.Clone(h.Counts)
	}
	d := longest(h, p.counts)
	copy(p.counts, h.Counts)
	return d
}

// longest is of what h has more than before.
func longest(h *metrics.Float64Histogram, before []uint64) time.Duration {
	for i := len(h.Counts) - 1; i >= 0; i-- {
		if h.Counts[i] > before[i] {
			upper := h.Buckets[i+1]
			if math.IsInf(upper, 1) {
				upper = h.Buckets[i]
			}
			return time.Duration(upper * float64(time.Second))
		}
	}
	return 0
}
