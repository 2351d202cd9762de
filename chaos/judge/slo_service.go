package judge

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// service is what counts of some requests.
type service struct {
	counted arrivals // by when they were due
	tried   []tried  // by second, and by stratum within one
	strata  int
	failed  float64
	unsent  float64 // due while the harness was well, and not sent, or not read for a bound of ours
	left    int     // due, or under way, while it was not
	well    []stretch
	end     time.Duration
}

// tried is what became of the requests due in one second under the same faults.
type tried struct {
	second, stratum   int
	n, failed, unsent float64
}

// length is the time that the requests are from.
func (s service) length() time.Duration { return s.end }

// served sorts requests into what counts and what does not.
func served(run *evidence.Run, samples arrivals) service {
	s := service{end: horizon(run)}
	unwell := unwellIn(run)
	s.well = outside(unwell, s.end)
	stratumAt := strataOf(run, &s.strata)
	s.counted = samples.where(func(x *load.Sample) bool {
		if spoilt(unwell, x.Intended, x.Done) {
			s.left++
			return false
		}
		return true
	})
	for _, x := range s.counted.all() {
		second, stratum := int(x.Intended/time.Second), stratumAt(x.Intended)
		at := len(s.tried) - 1
		for at >= 0 && s.tried[at].second == second && s.tried[at].stratum != stratum {
			at--
		}
		if at < 0 || s.tried[at].second != second {
			s.tried = append(s.tried, tried{second: second, stratum: stratum})
			at = len(s.tried) - 1
		}
		t := &s.tried[at]
		t.n++
		switch {
		case x.Outcome.Ours():
			t.unsent++
			s.unsent++
		case x.Outcome != load.OK:
			t.failed++
			s.failed++
		}
	}
	return s
}

// unwellIn lists the stretches in which the harness was not well.
func unwellIn(run *evidence.Run) (all []stretch) {
	for i := range run.Ticks {
		if run.Unwell(i) {
			all = append(all, stretch{max(0, run.TickFrom(i)), run.Ticks[i].At})
		}
	}
	return all
}

// outside lists the stretches of [0, end] that lie between some.
func outside(some []stretch, end time.Duration) (all []stretch) {
	at := time.Duration(0)
	for _, s := range some {
		if s.from > at {
			all = append(all, stretch{at, min(s.from, end)})
		}
		at = max(at, s.to)
	}
	if at < end {
		all = append(all, stretch{at, end})
	}
	return all
}

// spoilt reports whether a request was due or under way in one of the stretches, which
// are in order.
func spoilt(all []stretch, from, to time.Duration) bool {
	i := sort.Search(len(all), func(i int) bool { return all[i].to > from })
	return i < len(all) && all[i].from <= to
}

// strataOf returns which of the sets of faults was in force at a time, and counts them;
// times must not fall.
func strataOf(run *evidence.Run, strata *int) func(at time.Duration) int {
	var edges []time.Duration
	for _, x := range run.Faults {
		if x.Injected >= 0 {
			edges = append(edges, x.Injected)
			if x.Healed >= 0 {
				edges = append(edges, x.Healed)
			}
		}
	}
	slices.Sort(edges)
	known := map[string]int{}
	now, next := -1, 0
	return func(at time.Duration) int {
		for now < 0 || next < len(edges) && edges[next] <= at {
			for next < len(edges) && edges[next] <= at {
				next++
			}
			var force []byte
			for i, x := range run.Faults {
				if x.Injected >= 0 && x.Injected <= at && (x.Healed < 0 || x.Healed > at) {
					force = fmt.Appendf(force, "%d,", i)
				}
			}
			stratum, ok := known[string(force)]
			if !ok {
				stratum = len(known)
				known[string(force)] = stratum
				*strata = len(known)
			}
			now = stratum
		}
		return now
	}
}
