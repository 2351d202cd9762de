package arrivals

import (
	"iter"
	"math"
	"time"

	"golang.org/x/time/rate"
)

// Sine offers a rate that goes up and down around mid, as days do:
//
//	mid + amplitude · sin(2π·t/period)
//
// It begins at mid, on its way up. mid is taken to lie within 0 and 1e9 per
// second, amplitude so that the rate does too, and a negative duration to be 0;
// a period that is not positive gives mid all the time.
//
// As in Stages, arrival i is due where the integrated rate Λ reaches i, rounded
// to the nanosecond. Within a period, of the length P,
//
//	Λ(t) = mid·t + amplitude·P/2π·(1 − cos(2π·t/P))
//
// and each whole one before it has mid·P arrivals, so however long the load
// lasts, Λ is inverted in one period only. What floating point loses is about
// 10⁻¹⁶ of the arrivals in a period, far less than one: the order of arrivals
// cannot suffer, and their times only where hardly any are due.
func Sine(mid, amplitude rate.Limit, period, duration time.Duration) Schedule {
	if period <= 0 {
		return Constant(mid, duration)
	}
	s := &sine{mid: bounded(mid), period: period, length: max(0, duration)}
	s.amplitude = min(bounded(amplitude), s.mid, maxRate-s.mid)
	s.omega = 2 * math.Pi / period.Seconds()
	s.each = s.mid * period.Seconds()
	return s
}

type sine struct {
	mid, amplitude float64 // per second
	omega          float64 // radians per second
	each           float64 // arrivals in a period
	period, length time.Duration
	spacing        Spacing
}

func (s *sine) Arrivals() iter.Seq[time.Duration] { return sequence(s) }

func (s *sine) Duration() time.Duration { return s.length }

func (s *sine) Rate(t time.Duration) rate.Limit {
	if t < 0 || t >= s.length {
		return 0
	}
	return rate.Limit(s.at((t % s.period).Seconds()))
}

// at is the rate t seconds into a period. Rounding must not make it negative.
func (s *sine) at(t float64) float64 { return max(0, s.mid+s.amplitude*math.Sin(s.omega*t)) }

// within is how many arrivals are due in the first t seconds of a period. 1 − cos x
// is written so that it does not cancel.
func (s *sine) within(t float64) float64 {
	half := math.Sin(s.omega * t / 2)
	return s.mid*t + 2*s.amplitude/s.omega*half*half
}

// after is the inverse of within: Newton's method, kept within what is known to
// hold the answer, which halves where that method would leave it or be slow.
func (s *sine) after(count float64) float64 {
	const exact = 1e-11 // seconds
	low, high := 0.0, s.period.Seconds()
	t := count / s.each * high
	for last := high; high-low > exact; {
		miss := s.within(t) - count
		if miss > 0 {
			high = t
		} else {
			low = t
		}
		step := -miss / s.at(t)
		next := t + step
		if !(low < next && next < high) || math.Abs(step) > last/2 { // NaN too
			next = (low + high) / 2
			step = next - t
		}
		if last = math.Abs(step); last < exact {
			return next
		}
		t = next
	}
	return t
}

func (s *sine) stripe(k, n int) Cursor { return s.spacing.stripe(s, k, n) }

func (s *sine) due(area float64) (time.Duration, bool) {
	periods := math.Floor(area / s.each)
	if !(periods*float64(s.period) < float64(s.length)) { // also if there are no arrivals at all
		return 0, false
	}
	within := max(0, math.FMA(-periods, s.each, area))
	t := time.Duration(periods)*s.period + time.Duration(math.Round(s.after(within)*1e9))
	return t, t < s.length
}
