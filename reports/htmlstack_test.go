package reports

import (
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/series"
)

// A link has the charts that there is something in: none is drawn empty.
func TestLinkChartsAreOfWhatThereWas(t *testing.T) {
	ms := func(v float64) *float64 { return &v }
	took := func(list ...*float64) series.Percentiles {
		return series.Percentiles{P50: list, P99: list, P999: list, Max: list}
	}
	busy := series.Gauge{Least: []float64{0, 0}, Most: []float64{0, 3}}
	for _, c := range []struct {
		name string
		link series.Link
		want string
	}{
		{"calls", series.Link{Ended: []uint64{4, 5}, Errors: []uint64{0, 1}, InFlight: busy, Took: took(ms(1), ms(2))}, "calls flight took"},
		{"connections that end with the run", series.Link{Ended: []uint64{0, 5}, Errors: []uint64{0, 5}, InFlight: busy,
			Took: took(nil, ms(900))}, "calls flight"},
		{"one that hangs", series.Link{Ended: []uint64{0, 0}, Errors: []uint64{0, 0}, InFlight: busy, Took: took(nil, nil)}, "flight"},
		{"none", series.Link{Ended: []uint64{0, 0}, Errors: []uint64{0, 0}, InFlight: series.Gauge{Least: []float64{0, 0}, Most: []float64{0, 0}},
			Took: took(nil, nil)}, ""},
	} {
		st := newStack("t", seriesFor(2, 1, 1, 1, 100, 1), nil)
		var got []string
		for _, chart := range st.link(0, c.link, 0, nil) {
			got = append(got, strings.TrimPrefix(chart.ID, "t-link0-"))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
