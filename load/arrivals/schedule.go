package arrivals

import (
	"iter"
	"time"

	"golang.org/x/time/rate"
)

// Schedule is the open model: when requests are due, fixed before the run,
// whatever the system does.
type Schedule interface {
	// Arrivals yields the intended times in order, counted from the start of
	// the load. The sequence ends. Each call yields the same sequence.
	Arrivals() iter.Seq[time.Duration]
	// Rate is the offered rate at time t; 0 outside [0, Duration()).
	Rate(t time.Duration) rate.Limit
	// Duration is how long the schedule lasts.
	Duration() time.Duration
}

// Constant offers limit for duration: arrival i, counted from 0, is due at
// i/limit. Here and in Stages, a rate is taken to lie within 0 and 1e9 per
// second (one per nanosecond), and a negative duration to be 0.
func Constant(limit rate.Limit, duration time.Duration) Schedule {
	return Stages([]Stage{{To: limit, Hold: duration}}, Spacing{})
}

// Poisson offers limit for duration with exponential gaps, as many
// independent callers do. The same seed gives the same arrivals.
func Poisson(limit rate.Limit, duration time.Duration, seed uint64) Schedule {
	return Stages([]Stage{{To: limit, Hold: duration}}, Spacing{Poisson: true, Seed: seed})
}

// Cursor walks through arrivals. It is what event loops read: a plain method
// call per arrival, where pulling from an iter.Seq is a coroutine switch.
type Cursor interface {
	// Next returns the next intended time, and false after the last one.
	Next() (time.Duration, bool)
}

// striper is a Schedule that can be dealt out: stripe k of n has the arrivals
// k, k+n, k+2n, ... counted from 0. All stripes together are the schedule.
type striper interface {
	stripe(k, n int) Cursor
}

// Stripe returns the cursor of stripe k of n, and a function that must be
// called when it is not needed any more. A Schedule from outside this package
// is pulled through its iterator: that is right, but costs more per arrival.
func Stripe(s Schedule, k, n int) (Cursor, func()) {
	if s, ok := s.(striper); ok {
		return s.stripe(k, n), func() {}
	}
	pull, stop := iter.Pull(s.Arrivals())
	return &pulled{pull: pull, skip: k, gap: n - 1}, stop
}

// pulled is a stripe of any sequence.
type pulled struct {
	pull func() (time.Duration, bool)
	skip int // arrivals of other stripes before our next one
	gap  int // and between two of ours
}

func (p *pulled) Next() (time.Duration, bool) {
	for range p.skip {
		if _, ok := p.pull(); !ok {
			return 0, false
		}
	}
	p.skip = p.gap
	return p.pull()
}

// sequence is the whole of a striped schedule as a sequence.
func sequence(s striper) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		c := s.stripe(0, 1)
		for t, ok := c.Next(); ok && yield(t); t, ok = c.Next() {
		}
	}
}

// First is a schedule that ends after its first n arrivals.
func First(n uint64, s Schedule) Schedule { return first{s, n} }

type first struct {
	Schedule
	n uint64
}

func (f first) Arrivals() iter.Seq[time.Duration] { return sequence(f) }

func (f first) stripe(k, n int) Cursor {
	c, stop := Stripe(f.Schedule, k, n)
	left := uint64(0)
	if f.n > uint64(k) {
		left = (f.n - uint64(k) + uint64(n) - 1) / uint64(n)
	}
	return &limited{Cursor: c, left: left, stop: stop}
}

// limited is a cursor that ends early.
type limited struct {
	Cursor
	left uint64
	stop func()
}

func (c *limited) Next() (time.Duration, bool) {
	if c.left == 0 {
		c.stop()
		return 0, false
	}
	c.left--
	return c.Cursor.Next()
}
