package result

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// Matrix is which routes call over which links, and how each route fared while a fault
// was in force on a link. What falls in lock-step and what several services share shows in it,
// although nothing is claimed of them. Calls are told by the request id; a cell in which
// nothing was at risk says nothing of what the loss of its link does.
type Matrix struct {
	Links    []MatrixLink `json:"links"`                // by name; those with the most exchanges, MaxMatrixLinks at most
	More     int          `json:"more_links,omitempty"` // links that are left out
	LockStep []LockStep   `json:"lock_step,omitempty"`  // links that took every route with them
	Shared   []Shared     `json:"shared,omitempty"`     // targets that several services call
}

// Bounds of a Matrix.
const (
	MaxMatrixLinks  = 50
	MaxMatrixRoutes = 500
)

// MatrixLink is the row of a link.
type MatrixLink struct {
	Link     string       `json:"link"`                  // its name
	Nameless uint64       `json:"nameless,omitempty"`    // exchanges that carry no id of a request: calls of any route may be among them
	Mixed    bool         `json:"mixed,omitempty"`       // while a fault was in force on it another was elsewhere: either may be the reason
	Routes   []MatrixCell `json:"routes"`                // in the order of the experiment: those that called over it, and those at risk
	More     int          `json:"more_routes,omitempty"` // routes that are left out: those with the fewest requests
}

// MatrixCell is one route over one link.
type MatrixCell struct {
	Route      string  `json:"route"`             // its name
	Calls      uint64  `json:"calls"`             // exchanges that its requests caused, in the whole run and repeated attempts included
	PerRequest float64 `json:"per_request"`       // the same for each request that was sent
	AtRisk     uint64  `json:"at_risk,omitempty"` // requests due while a fault was in force on the link, of which is known how they fared
	Served     uint64  `json:"served,omitempty"`  // of those, the ones that ended well before the fault was healed
}

// LockStep is a link whose faults, no other being in force, took every route with it: each kept
// less than half of the share that it served before the first fault.
type LockStep struct {
	Link    string   `json:"link"`              // where the faults were
	Routes  []string `json:"routes"`            // all that were at risk, two at least
	Without []string `json:"without,omitempty"` // those of them that made no call over it: what ties them to it is not the link
}

// Shared is a target that is called by more than one service.
type Shared struct {
	Target string   `json:"target"` // what is called
	From   []string `json:"from"`   // targets that call it, by name
	Links  []string `json:"links"`  // over which they do, by name
}

// leastAtRisk is how many requests it takes to speak of a route that fell.
const leastAtRisk = 30

// matrix makes the matrix of a run; nil of one that has no link.
func matrix(run *evidence.Run) *Matrix {
	if len(run.Links) == 0 || len(run.Routes) == 0 {
		return nil
	}
	all := usage(run)
	shown := mostOf(len(run.Routes), MaxMatrixRoutes, func(route int) uint64 { return all[route].due })
	names := slices.Sorted(maps.Keys(run.Links))
	m := &Matrix{Links: []MatrixLink{}}
	for _, at := range mostOf(len(names), MaxMatrixLinks, func(i int) uint64 { return uint64(len(run.Links[names[i]].Exchanges)) }) {
		link := run.Links[names[at]]
		row := newMatrixRow(run, link, all)
		m.Links = append(m.Links, row.shown(run, all, shown))
		if fell, ok := row.lockStep(run, all); ok {
			m.LockStep = append(m.LockStep, fell)
		}
	}
	m.More = len(names) - len(m.Links)
	m.Shared = shared(run, names)
	return m
}

// routeUse is what is known of a route without a look at links.
type routeUse struct {
	due, sent  uint64
	before, ok uint64          // requests that ended before the first fault, and those of them that ended well
	usual      time.Duration   // the 99th percentile of how long those took since they were due
	took       []time.Duration // which is of these
}

// usage is that of each route.
func usage(run *evidence.Run) []routeUse {
	first, faults := run.End, false
	for _, f := range run.Faults {
		if f.Injected >= 0 {
			first, faults = min(first, f.Injected), true
		}
	}
	all := make([]routeUse, len(run.Routes))
	for i := range run.Samples {
		s := &run.Samples[i]
		if s.Route < 0 || s.Route >= len(all) {
			continue
		}
		u := &all[s.Route]
		u.due++
		if s.Outcome != load.Unsent {
			u.sent++
		}
		if !faults || s.Done > first {
			continue
		}
		u.before++
		if s.Outcome == load.OK {
			u.ok++
			u.took = append(u.took, s.ResponseTime())
		}
	}
	for i := range all {
		if times := all[i].took; len(times) > 0 {
			slices.Sort(times)
			all[i].usual = times[len(times)-1-len(times)/100]
		}
		all[i].took = nil
	}
	return all
}

// mostOf are the most indexes below n that weigh the most, in order.
func mostOf(n, most int, weight func(i int) uint64) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(weight(b), weight(a)) })
	order = order[:min(n, most)]
	slices.Sort(order)
	return order
}

// matrixRow is a link with what each route did and suffered, by the number of the route.
type matrixRow struct {
	link           *evidence.Link
	calls          []uint64
	atRisk, served []uint64
	nameless       uint64
	mixed          bool
}

func newMatrixRow(run *evidence.Run, link *evidence.Link, all []routeUse) *matrixRow {
	n := len(run.Routes)
	row := &matrixRow{link: link, calls: make([]uint64, n), atRisk: make([]uint64, n), served: make([]uint64, n)}
	for i := range link.Exchanges {
		s, known := run.Sample(link.Exchanges[i].ID)
		if known && s.Route >= 0 && s.Route < n {
			row.calls[s.Route]++
		} else {
			row.nameless++
		}
	}
	spans := inForce(run, link)
	for _, s := range spans {
		row.mixed = row.mixed || meanwhileElsewhere(run, link, s)
		for i, window := 0, run.Window(s.from, s.to); i < len(window); i++ {
			x := &window[i]
			if x.Route < 0 || x.Route >= n {
				continue
			}
			switch late := x.Done > s.to; {
			case late && s.to-x.Intended < all[x.Route].usual:
				continue // it would have been under way at the healing without any fault
			case !late && x.Outcome == load.OK:
				row.served[x.Route]++
			}
			row.atRisk[x.Route]++
		}
	}
	return row
}

// faultSpan is a stretch in which a fault was in force, without its end.
type faultSpan struct{ from, to time.Duration }

// inForce are the stretches in which faults concerned calls over a link, those that touch
// each other as one.
func inForce(run *evidence.Run, link *evidence.Link) (merged []faultSpan) {
	var all []faultSpan
	for i := range run.Faults {
		if f := &run.Faults[i]; f.OnPath(link) {
			if s, came := spanOf(run, f); came {
				all = append(all, s)
			}
		}
	}
	slices.SortFunc(all, func(a, b faultSpan) int { return cmp.Compare(a.from, b.from) })
	for _, s := range all {
		if n := len(merged); n > 0 && s.from <= merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// spanOf is when a fault was in force; false if it never was.
func spanOf(run *evidence.Run, f *evidence.Injection) (faultSpan, bool) {
	s := faultSpan{f.Injected, f.Healed}
	if s.to < 0 {
		s.to = run.End
	}
	return s, s.from >= 0 && s.to > s.from
}

func meanwhileElsewhere(run *evidence.Run, link *evidence.Link, during faultSpan) bool {
	return slices.ContainsFunc(run.Faults, func(f evidence.Injection) bool {
		s, came := spanOf(run, &f)
		return came && !f.OnPath(link) && s.from < during.to && s.to > during.from
	})
}

// shown is the row as it is in the result, with some of the routes.
func (r *matrixRow) shown(run *evidence.Run, all []routeUse, routes []int) MatrixLink {
	row := MatrixLink{Link: r.link.Name, Nameless: r.nameless, Mixed: r.mixed, Routes: []MatrixCell{}}
	for _, i := range routes {
		if r.calls[i] == 0 && r.atRisk[i] == 0 {
			continue
		}
		row.Routes = append(row.Routes, MatrixCell{Route: run.Routes[i], Calls: r.calls[i],
			PerRequest: float64(r.calls[i]) / float64(max(1, all[i].sent)), AtRisk: r.atRisk[i], Served: r.served[i]})
	}
	for i := range r.calls {
		if (r.calls[i] > 0 || r.atRisk[i] > 0) && !slices.Contains(routes, i) {
			row.More++
		}
	}
	return row
}

// lockStep reports whether the link took every route with it.
func (r *matrixRow) lockStep(run *evidence.Run, all []routeUse) (LockStep, bool) {
	fell := LockStep{Link: r.link.Name}
	for i, name := range run.Routes {
		u := &all[i]
		if r.atRisk[i] < leastAtRisk || u.before < leastAtRisk {
			continue
		}
		// served/atRisk ≥ ½ · ok/before, in whole numbers
		if 2*r.served[i]*u.before >= r.atRisk[i]*u.ok {
			return fell, false
		}
		fell.Routes = append(fell.Routes, name)
		if r.calls[i] == 0 && r.nameless == 0 {
			fell.Without = append(fell.Without, name)
		}
	}
	return fell, len(fell.Routes) > 1 && !r.mixed
}

// shared are the targets that more than one service was seen to call.
func shared(run *evidence.Run, links []string) (all []Shared) {
	by := map[string]*Shared{}
	for _, name := range links {
		l := run.Links[name]
		if len(l.Exchanges) == 0 {
			continue
		}
		s := by[l.To]
		if s == nil {
			s = &Shared{Target: l.To}
			by[l.To] = s
		}
		s.Links = append(s.Links, name)
		if !slices.Contains(s.From, l.From) {
			s.From = append(s.From, l.From)
		}
	}
	for _, target := range slices.Sorted(maps.Keys(by)) {
		if s := by[target]; len(s.From) > 1 {
			slices.Sort(s.From)
			all = append(all, *s)
		}
	}
	return all
}
