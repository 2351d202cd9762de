package hist

import "time"

// Cells calls each for every cell that something was counted in, from the shortest
// times to the longest: as many times from from to to, both included, as they are told
// apart. It is how a histogram of another kind is made of one.
func (h *Histogram) Cells(each func(from, to time.Duration, count int64)) {
	for b := range h.bars {
		each(b.from, inRange(int64(b.to)), b.count)
	}
}
