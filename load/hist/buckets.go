package hist

import "time"

// Buckets calls each for every bucket that something was counted in, from the shortest
// times to the longest: count times from from to to, both included, which are not told
// apart. It is how a histogram of another kind is made of one.
func (h *Histogram) Buckets(each func(from, to time.Duration, count int64)) {
	for b := range h.bars {
		each(b.from, inRange(int64(b.to)), b.count)
	}
}
