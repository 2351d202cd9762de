package main

import (
	"math"
	"runtime/metrics"
	"time"
)

// pauses are the runtime's pauses for garbage collection so far.
type pauses struct{ counts []uint64 }

const pauseMetric = "/sched/pauses/total/gc:seconds"

func gcPauses() pauses {
	h := readPauses()
	return pauses{counts: append([]uint64(nil), h.Counts...)}
}

func readPauses() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: pauseMetric}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return &metrics.Float64Histogram{}
	}
	return sample[0].Value.Float64Histogram()
}

// longestSince is the upper end of the bucket that the longest pause since then
// fell in; 0 if there was none.
func (p pauses) longestSince() time.Duration {
	h := readPauses()
	for i := len(h.Counts) - 1; i >= 0; i-- {
		if i < len(p.counts) && h.Counts[i] > p.counts[i] {
			upper := h.Buckets[i+1]
			if math.IsInf(upper, 1) {
				upper = h.Buckets[i]
			}
			return time.Duration(upper * float64(time.Second))
		}
	}
	return 0
}
