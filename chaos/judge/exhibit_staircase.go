package judge

import (
	"cmp"
	"maps"
	"slices"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// staircase follows requests through all links of the run. Those that the samples have no
// record of are left out.
func staircase(run *evidence.Run, s example) Exhibit {
	requests := []Climb{}
	for _, id := range s.ids {
		x, ok := run.Sample(id)
		if !ok || len(requests) == MaxStaircase {
			continue
		}
		c := Climb{ID: id, Route: routeName(run, x.Route), Status: x.Status, Outcome: x.Outcome.String(),
			Due: evidence.Seconds(x.Intended), Sent: evidence.Seconds(x.Sent), Done: evidence.Seconds(x.Done)}
		c.Steps, c.More = stepsOf(run, id)
		requests = append(requests, c)
	}
	if len(requests) == 0 {
		return Exhibit{}
	}
	slices.SortStableFunc(requests, func(a, b Climb) int { return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.ID, b.ID)) })
	return Exhibit{Kind: KindStaircase, Title: s.title, Part: s.part, Staircase: &Staircase{requests}}
}

// stepsOf are the exchanges that a request caused, and how many more there are.
func stepsOf(run *evidence.Run, id uint64) (steps []Step, more int) {
	type seen struct {
		link *evidence.Link
		*evidence.Exchange
	}
	var all []seen
	for _, name := range slices.Sorted(maps.Keys(run.Links)) {
		if l := run.Links[name]; l != nil {
			for _, at := range l.CausedBy(id) {
				all = append(all, seen{l, &l.Exchanges[at]})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b seen) int { return cmp.Compare(a.Begin, b.Begin) })
	more = max(0, len(all)-MaxSteps)
	steps = make([]Step, 0, len(all)-more)
	for _, x := range all[:len(all)-more] {
		s := Step{Link: x.link.Name, Begin: evidence.Seconds(x.Begin), End: evidence.Seconds(x.End), Method: x.Method, Status: x.Status,
			Own: int(x.Own), Ending: x.Ending.String()}
		for _, f := range run.Faults {
			if onPath(x.link, f) && f.Touched(x.Exchange) {
				s.Faults = append(s.Faults, f.Name)
			}
		}
		steps = append(steps, s)
	}
	return steps, more
}
