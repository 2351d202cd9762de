package adhoc

import (
	"math"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/series"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/watch"
)

// live is what makes the series of the load.
func (j *Job) live() *series.Live {
	var routes []string
	if len(j.Groups) > 1 {
		routes = j.Groups
	}
	length := j.length()
	if length > 0 {
		length += j.grace()
	}
	return series.NewLive(routes, length)
}

// grace is how long after the last arrival requests may still end.
func (j *Job) grace() time.Duration {
	grace := j.Plan.Grace
	for _, r := range j.Plan.Routes {
		if j.Plan.Grace == 0 {
			grace = max(grace, r.Timeout)
		}
	}
	return grace
}

// addTo gives a second to the series.
func (r *Run) addTo(live *series.Live, s watch.Second) {
	unsent := s.Counts.All()[load.Unsent]
	lag := s.Counts.Times.Lag
	t := evidence.Tick{
		At: s.At, Offered: r.offered(s.From, s.At), Ended: s.Requests(), Unsent: unsent,
		LagP99: evidence.Seconds(lag.Quantile(0.99)), LagMax: evidence.Seconds(lag.Quantile(1)),
		HiccupMax: evidence.Seconds(s.Host.Max), CPU: s.Host.CPU, Pressure: s.Host.Pressure,
	}
	totals := load.Totals{Due: t.Ended + unsent, Starved: s.Loops.Starved, DialLimited: s.Loops.DialLimited, Closed: r.Plan.Closed != nil}
	if r.record != nil {
		t.Lost = r.record.Lost()
		totals.Lost = t.Lost - r.lost
		r.lost = t.Lost
	}
	if r.Plan.MaxQueue == 0 {
		totals.Unsent = unsent // otherwise they were not to wait, or not for long
	}
	check := load.Checkup{Batch: r.Plan.Batch}
	check.Add(s.Health())
	live.Add(s.From, &t, len(check.Problems(totals)) > 0, s.Counts.Outcomes, s.Counts.Times)
}

// offered is due as a whole number.
func (r *Run) offered(from, to time.Duration) uint64 { return uint64(math.Round(r.due(from, to))) }

// due is how many arrivals the schedule has between two times of the clock, by its rate
// in the middle; 0 in the closed model.
func (r *Run) due(from, to time.Duration) float64 {
	if r.Plan.Schedule == nil {
		return 0
	}
	from, to = from+r.Warmup, min(to+r.Warmup, r.Plan.Schedule.Duration())
	if to <= from {
		return 0
	}
	return float64(r.Plan.Schedule.Rate((from+to)/2)) * (to - from).Seconds()
}
