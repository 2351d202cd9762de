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

// Next is the rate in a piece of the load with n of it. A shorter piece than half a second,
// as there is one at the end, is taken together with what came before: two arrivals in
// 2 ms are no 1,000 in a second, and none are no stop.
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

// Tail reports whether a piece is so short, and with so little in it, that there is
// nothing to tell of: what is left behind the last second when the load ends with it.
func Tail(ended uint64, span time.Duration) bool { return ended == 0 && span < aSecond }
