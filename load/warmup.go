package load

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
//	              0 of what Apart passes on
func Warmed(limit rate.Limit, warmup time.Duration, s Schedule) Schedule {
	if warmup <= 0 {
		return s
	}
	return warmed{Constant(limit, warmup), s}
}

type warmed struct{ first, then Schedule }

func (w warmed) Arrivals() iter.Seq[time.Duration] { return arrivals(w) }

func (w warmed) Duration() time.Duration { return w.first.Duration() + w.then.Duration() }

func (w warmed) Rate(t time.Duration) rate.Limit {
	if t < w.first.Duration() {
		return w.first.Rate(t)
	}
	return w.then.Rate(t - w.first.Duration())
}

func (w warmed) stripe(k, n int) cursor {
	first, stop := stripe(w.first, 0, 1)
	return &warmedCursor{warmed: w, k: k, n: n, part: first, stop: stop}
}

// warmedCursor reads the whole warm-up, also what is other stripes', because
// how many arrivals it has decides which of those after it are ours.
type warmedCursor struct {
	warmed
	k, n int
	read int           // arrivals of the warm-up so far
	part cursor        // of the warm-up, then of what follows
	stop func()        // of part
	from time.Duration // when part begins
}

func (c *warmedCursor) next() (time.Duration, bool) {
	for {
		t, ok := c.part.next()
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
		c.part, c.stop = stripe(c.then, ((c.k-c.read)%c.n+c.n)%c.n, c.n)
		c.from = c.first.Duration()
	}
}

// Apart keeps a warm-up out of what is observed. What was due before its end is
// given to warm, with its times as they are, and everything else to observe,
// with times that count from there. The clock of what is measured thus begins
// where the warm-up ends: an answer that is still under way then counts as the
// warm-up's, for that is what made it slow.
func Apart(warmup time.Duration, warm, observe Observe) Observe {
	if warmup <= 0 {
		return observe
	}
	return func(shard int, s Sample) {
		if s.Intended < warmup {
			warm(shard, s)
			return
		}
		s.Intended -= warmup
		s.Done -= warmup
		if s.Outcome != Unsent {
			s.Sent -= warmup
		}
		observe(shard, s)
	}
}

// NextSecond is the first whole second after t, on a clock that may not have
// come to 0 yet, as that of Apart during the warm-up.
func NextSecond(t time.Duration) time.Duration {
	second := t.Truncate(time.Second) // towards 0
	if second > t {
		return second
	}
	return second + time.Second
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
