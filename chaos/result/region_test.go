package result

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/hist"
)

// A region has what its routes have together, and no other's; percentiles are of all its
// requests, and not of its routes.
func TestRegions(t *testing.T) {
	run := &evidence.Run{Routes: []string{"buy@eu", "buy@us", "look@eu", "look@us"}}
	routes := []Route{
		{Name: "buy@eu", Requests: 10, Outcomes: map[string]uint64{"ok": 9, "5xx": 1}},
		{Name: "buy@us", Requests: 4, Outcomes: map[string]uint64{"ok": 4}},
		{Name: "look@eu", Requests: 30, Outcomes: map[string]uint64{"ok": 23, "5xx": 3, "unsent": 4}},
		{Name: "look@us", Requests: 0, Outcomes: map[string]uint64{}},
	}
	times := &hist.Set{Response: make([]*hist.Histogram, 4), Service: make([]*hist.Histogram, 4)}
	for i, took := range []time.Duration{time.Millisecond, 2 * time.Millisecond, 30 * time.Millisecond} {
		times.Response[i], times.Service[i] = hist.New(), hist.New()
		for range routes[i].Requests {
			times.Response[i].Record(took)
			times.Service[i].Record(took / 2)
		}
	}
	got := regions(run, routes, times)
	if len(got) != 2 || got[0].Name != "eu" || got[1].Name != "us" {
		t.Fatalf("regions %+v", got)
	}
	eu, us := got[0], got[1]
	if diff := cmp.Diff(map[string]uint64{"ok": 32, "5xx": 4, "unsent": 4}, eu.Outcomes); diff != "" || eu.Requests != 40 || eu.Success != 80 {
		t.Errorf("eu has %d requests, %v%% of which succeeded; %s", eu.Requests, eu.Success, diff)
	}
	if p50 := eu.Response.P50; p50 < 29.9 || p50 > 30.1 || eu.Service.P50 < 14.9 || eu.Service.P50 > 15.1 {
		t.Errorf("half of eu took %v ms at most, %v of it the service; want 30 and 15", p50, eu.Service.P50)
	}
	if us.Requests != 4 || us.Success != 100 || us.Response.Max < 1.9 || us.Response.Max > 2.1 {
		t.Errorf("us is %+v", us)
	}
	if got := regions(&evidence.Run{Routes: []string{"buy"}}, []Route{{Name: "buy"}}, times); got != nil {
		t.Errorf("one place has regions: %+v", got)
	}
}
