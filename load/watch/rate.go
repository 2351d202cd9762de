package watch

import "time"

// Rate is how much there is of something per second, as it is told piece by piece. The
// zero value is before the first piece.
type Rate struct {
	n    float64
	span time.Duration
}

// aSecond is the least that says something of a second by itself.
const aSecond = 500 * time.Millisecond

// Next is the rate in the next piece of the load, of n in span. A piece shorter than half a
// second, as the last one may be, is added to the one before it: two arrivals in 2 ms are
// not 1,000/s, and none in 2 ms does not mean that the load has stopped.
func (r *Rate) Next(n float64, span time.Duration) (perSecond float64) {
	if span < aSecond {
		n, span = n+r.n, span+r.span
	}
	r.n, r.span = n, span
	if span <= 0 {
		return 0
	}
	return n / span.Seconds()
}

// Tail reports whether a piece need not be shown: it is shorter than half a second and
// nothing ended in it, as is usual behind the last whole second of a load.
func Tail(ended uint64, span time.Duration) bool { return ended == 0 && span < aSecond }
