package evidence

import (
	"time"

	"github.com/stormctl/stormctl/load"
)

// Second is the tick as what the harness knew of itself.
func (t Tick) Second() load.Second {
	return load.Second{
		At: t.At, Ended: t.Ended, Late: t.LateP99.Duration(), HiccupP99: t.HiccupP99.Duration(), HiccupMax: t.HiccupMax.Duration(),
		Pause: t.Pause.Duration(), Busy: t.Busy, Pressure: t.Pressure, CPU: t.CPU, Cores: t.Cores,
	}
}

// Problems says why the harness was not well in [from, to]; nil means that it
// was. What was lost counts whenever it was.
func (r *Run) Problems(from, to time.Duration) []load.Problem {
	check := load.Checkup{Batch: r.Batch}
	var whole load.Totals
	for _, n := range r.Lost {
		whole.Lost += n
	}
	var before time.Duration
	for i, t := range r.Ticks {
		s := t.Second()
		s.Length, before = min(t.At-before, r.tickLength(i)), t.At
		if t.At < from || r.TickFrom(i) > to {
			continue
		}
		check.Add(s)
		whole.Due += t.Ended + t.Unsent
		whole.Starved += t.Starved
		whole.DialLimited += t.DialLimited
		if !r.Skips {
			whole.Unsent += t.Unsent
		}
	}
	return check.Problems(whole)
}
