package result

import (
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/hist"
)

// regions are the routes, which are in the order of run.Routes, summed up by the region
// that their requests came from; nil where that is one place. Steps count as the
// requests they are.
func regions(run *evidence.Run, routes []Route, times *hist.Set) []Route {
	var all []Route
	for _, region := range run.Regions() {
		sum := Route{Name: region, Outcomes: map[string]uint64{}}
		response, service := hist.New(), hist.New()
		for i, r := range routes {
			if _, from := evidence.SplitRoute(r.Name); from != region {
				continue
			}
			sum.Requests += r.Requests
			for outcome, n := range r.Outcomes {
				sum.Outcomes[outcome] += n
			}
			if h := times.Response[i]; h != nil {
				response.Merge(h)
			}
			if h := times.Service[i]; h != nil {
				service.Merge(h)
			}
		}
		if sum.Requests > 0 {
			sum.Success = 100 * float64(sum.Outcomes[load.OK.String()]) / float64(sum.Requests)
		}
		sum.Response, sum.Service = NewSpread(response), NewSpread(service)
		all = append(all, sum)
	}
	return all
}
