package arrivals

import (
	"iter"
	"time"

	"golang.org/x/time/rate"
)

// Warmed offers limit, evenly, for warmup, and then s: caches fill, pools open
// and compilers get ready before anything counts. What s has is the same as
// without a warm-up, only later.
//
//	rate          ┌────╮   s
//	  │  warmup   │     ╲
//	  │───────────┤      ╰───
//	  └───────────┴────────────▶ time
//	              0 of what SplitWarmup passes on
func Warmed(limit rate.Limit, warmup time.Duration, s Schedule) Schedule {
	if warmup <= 0 {
		return s
	}
	return warmed{Constant(limit, warmup), s}
}

type warmed struct{ first, then Schedule }

func (w warmed) Arrivals() iter.Seq[time.Duration] { return sequence(w) }

func (w warmed) Duration() time.Duration { return w.first.Duration() + w.then.Duration() }

func (w warmed) Rate(t time.Duration) rate.Limit {
	if t < w.first.Duration() {
		return w.first.Rate(t)
	}
	return w.then.Rate(t - w.first.Duration())
}

func (w warmed) stripe(k, n int) Cursor {
	first, stop := Stripe(w.first, 0, 1)
	return &warmedCursor{warmed: w, k: k, n: n, part: first, stop: stop}
}

// warmedCursor reads the whole warm-up, also what is other stripes', because
// how many arrivals it has decides which of those after it are ours.
type warmedCursor struct {
	warmed
	k, n int
	read int           // arrivals of the warm-up so far
	part Cursor        // of the warm-up, then of what follows
	stop func()        // of part
	from time.Duration // when part begins
}

func (c *warmedCursor) Next() (time.Duration, bool) {
	for {
		t, ok := c.part.Next()
		if ok {
			ours := c.from > 0 || c.read%c.n == c.k
			c.read++
			if ours {
				return c.from + t, true
			}
			continue
		}
		c.stop()
		if c.from > 0 {
			return 0, false
		}
		c.part, c.stop = Stripe(c.then, ((c.k-c.read)%c.n+c.n)%c.n, c.n)
		c.from = c.first.Duration()
	}
}

// DueBefore is how many arrivals of s are due before t.
func DueBefore(s Schedule, t time.Duration) (n uint64) {
	for due := range s.Arrivals() {
		if due >= t {
			break
		}
		n++
	}
	return n
}
