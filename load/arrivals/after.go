package arrivals

import (
	"iter"
	"time"
)

// After is s without the arrivals that are due before t; the others keep their times. It is
// the load of a soak that is resumed. To walk through it takes time for those left out, too.
func After(s Schedule, t time.Duration) Schedule { return after{s, DueBefore(s, t)} }

type after struct {
	Schedule
	skip uint64 // arrivals that are left out
}

func (a after) Arrivals() iter.Seq[time.Duration] { return sequence(a) }

// stripe k of n has the arrivals skip+k, skip+k+n, ... of what it is made of.
func (a after) stripe(k, n int) Cursor {
	first := a.skip + uint64(k)
	c, _ := Stripe(a.Schedule, int(first%uint64(n)), n) // what there is to stop is stopped at its end
	for i := first % uint64(n); i < first; i += uint64(n) {
		c.Next()
	}
	return c
}
