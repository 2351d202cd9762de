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
	for where, n := range r.Lost {
		if whole.Lost += n; where != lostByRun {
			whole.Altered += n
		}
	}
	for i, t := range r.Ticks {
		if t.At < from || r.TickFrom(i) > to {
			continue
		}
		check.Add(r.second(i))
		whole.Due += t.Ended + t.Unsent
		whole.Starved += t.Starved
		whole.DialLimited += t.DialLimited
		if !r.Skips {
			whole.Unsent += t.Unsent
		}
	}
	return check.Problems(whole)
}

// second is the tick i as what the harness knew of itself, with its length.
func (r *Run) second(i int) load.Second {
	s := r.Ticks[i].Second()
	var before time.Duration
	if i > 0 {
		before = r.Ticks[i-1].At
	}
	s.Length = min(r.Ticks[i].At-before, r.tickLength(i))
	return s
}

// Unwell reports whether the harness was not well in the tick i, had that been all of
// the run. A run may be well as a whole although a few of its seconds were not.
func (r *Run) Unwell(i int) bool {
	t := &r.Ticks[i]
	whole := load.Totals{Due: t.Ended + t.Unsent, Starved: t.Starved, DialLimited: t.DialLimited, Lost: t.Lost}
	if i > 0 {
		whole.Lost -= min(t.Lost, r.Ticks[i-1].Lost)
	}
	if !r.Skips {
		whole.Unsent = t.Unsent
	}
	check := load.Checkup{Batch: r.Batch}
	check.Add(r.second(i))
	return len(check.Problems(whole)) > 0
}
