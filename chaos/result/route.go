package result

import (
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

// Route is what the callers of one route got over the whole run.
type Route struct {
	Name     string            `json:"name"`              // as in the experiment
	Follows  string            `json:"follows,omitempty"` // of a step, the route or step whose right answer it follows
	Requests uint64            `json:"requests"`          // due, also those that were never sent
	Success  float64           `json:"success_pct"`       // share of ok among the requests
	Outcomes map[string]uint64 `json:"outcomes"`          // by load.Outcome, zeros left out
	Response Spread            `json:"response"`          // done − intended
	Service  Spread            `json:"service"`           // done − sent
}

// routes is what the callers saw, by the ticks and the histograms: both are
// there for a run of any length.
func routes(x *experiment.Experiment, run *evidence.Run, times *hist.Set) []Route {
	counts := map[string][load.Outcomes]uint64{}
	for _, t := range run.Ticks {
		for route, outcomes := range t.Routes {
			sum := counts[route]
			for i, n := range outcomes {
				sum[i] += n
			}
			counts[route] = sum
		}
	}
	var all []Route
	for i, name := range run.Routes {
		r := Route{Name: name, Outcomes: map[string]uint64{}, Response: NewSpread(times.Response[i]), Service: NewSpread(times.Service[i])}
		for outcome, n := range counts[name] {
			r.Requests += n
			if n > 0 {
				r.Outcomes[load.Outcome(outcome).String()] = n
			}
		}
		if r.Requests > 0 {
			r.Success = 100 * float64(counts[name][load.OK]) / float64(r.Requests)
		}
		all = append(all, r)
	}
	follow(x.Load.Sent(), all)
	return all
}

// follow tells the steps among results what they follow. Both lists are in the
// order of the experiment, each route with its steps behind it.
func follow(routes []experiment.Route, results []Route) {
	i := 0
	for _, r := range routes {
		for step := range r.Then {
			if at := i + step + 1; at < len(results) {
				results[at].Follows = results[at-1].Name
			}
		}
		i += 1 + len(r.Then)
	}
}
