package reports

import (
	"fmt"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/series"
)

// shortView is that of a run of 2.3 s with a route and a link.
func shortView() *series.View {
	ms := func(v float64) *float64 { return &v }
	times := series.Percentiles{P50: []*float64{ms(1.2), nil, ms(3)}, P99: []*float64{ms(9.04), nil, ms(3)},
		P999: []*float64{ms(20), nil, ms(3)}, Max: []*float64{ms(31.4), nil, ms(3)}}
	return &series.View{
		Whole: &series.Series{
			To: evidence.Seconds(2.3e9), Step: 1, Offered: []uint64{500, 500, 0}, Ended: []uint64{498, 0, 2}, Unsent: []uint64{0, 500, 0},
			Outcomes: map[string][]uint64{"ok": {498, 0, 0}, "5xx": {0, 0, 2}}, Response: times, OtherRoutes: 1,
			Routes: []series.Route{{Name: "pay", Ended: []uint64{498, 0, 2}, Bad: []uint64{0, 0, 2}, Response: times}},
			Links: []series.Link{{Name: "payments", Ended: []uint64{498, 0, 2}, Errors: []uint64{0, 0, 2},
				InFlight: series.Gauge{Least: []float64{1, 0, 0}, Most: []float64{1, 0, 2}}, Took: times}},
			Harness: series.Harness{LagP99: []float64{0.1, 0.2, 0.1}, LagMax: []float64{1, 2, 1}, Hiccup: []float64{0.5, 400, 0.5},
				Pressure: []float64{-1, -1, -1}, CPU: []float64{0.3, 0.3, 0.1}, Lost: []uint64{0, 0, 3}, Unwell: []bool{false, true, false}},
		},
		Phases: []series.Phase{{Name: "all", To: evidence.Seconds(2.3e9), Count: 500,
			Spectrum: []series.Quantile{{Q: 0, MS: 0.4}, {Q: 0.5, MS: 1.2}, {Q: 1, MS: 31.4}}}},
	}
}

// largeView is as large as a view may be.
func largeView() *series.View {
	v := &series.View{Whole: &series.Series{Step: 72, To: evidence.Seconds(86400e9)}}
	list := make([]uint64, series.MaxColumns)
	for i := range list {
		list[i] = uint64(1e9 + i)
	}
	bytes := 0
	for i := 0; bytes+len(list)*11+50 < series.MaxBytes; i++ {
		v.Whole.Routes = append(v.Whole.Routes, series.Route{Name: fmt.Sprint("r", i), Ended: list})
		bytes += len(list)*11 + 150
	}
	return v
}

// largeRun is one of 500 routes, 50 links and 100 faults.
func largeRun() *result.Result {
	r := breakerRun(0)
	r.Series = largeView()
	route, link, fault := r.Routes[0], r.Links[0], r.Faults[0]
	for i := range 500 {
		route.Name = fmt.Sprintf("route-%03d", i)
		r.Routes = append(r.Routes, route)
	}
	for i := range 50 {
		link.Name = fmt.Sprintf("link-%02d", i)
		r.Links = append(r.Links, link)
	}
	for range 100 {
		r.Faults = append(r.Faults, fault)
	}
	return r
}
