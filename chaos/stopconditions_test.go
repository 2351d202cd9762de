package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
)

// seconds of one route with 100 arrivals each: how many of them ended well, and
// how many ended at all.
func TestStopWatch(t *testing.T) {
	type second struct{ ok, ended uint64 }
	for _, c := range []struct {
		name    string
		stop    experiment.Stop
		seconds []second
		fires   int // after which second; 0 never
	}{
		{"well", experiment.Stop{Route: "pay", SuccessBelow: 0.5, For: 2 * time.Second}, []second{{100, 100}, {50, 100}, {100, 100}}, 0},
		{"bad for long enough", experiment.Stop{Route: "pay", SuccessBelow: 0.5, For: 2 * time.Second}, []second{{100, 100}, {49, 100}, {0, 100}}, 3},
		{"bad with a good second between", experiment.Stop{Route: "pay", SuccessBelow: 0.5, For: 2 * time.Second}, []second{{0, 100}, {100, 100}, {0, 100}}, 0},
		{"nothing ends: it hangs", experiment.Stop{Route: "pay", SuccessBelow: 0.5, For: 2 * time.Second}, []second{{100, 100}, {0, 0}, {0, 0}}, 3},
		{"part of a second counts whole", experiment.Stop{Route: "pay", SuccessBelow: 0.5, For: 1500 * time.Millisecond}, []second{{0, 100}, {0, 100}}, 2},
		{"another route", experiment.Stop{Route: "browse", SuccessBelow: 0.5, For: time.Second}, []second{{0, 100}, {0, 100}}, 0},
		{"all routes", experiment.Stop{SuccessBelow: 0.5, For: time.Second}, []second{{0, 100}}, 1},
		{"of a region", experiment.Stop{Route: "@eu", SuccessBelow: 0.5, For: time.Second}, []second{{0, 100}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newStopConditions([]experiment.Stop{c.stop}, []experiment.Route{{Name: "pay", Weight: 1}, {Name: "browse", Weight: 0.01}})
			fired := 0
			for i, s := range c.seconds {
				var outcomes [load.Outcomes]uint64
				outcomes[load.OK], outcomes[load.ServerError] = s.ok, s.ended-s.ok
				why := w.tick(evidence.Tick{Offered: 101, Routes: map[string][load.Outcomes]uint64{"pay": outcomes}})
				if why != "" && fired == 0 {
					fired = i + 1
				}
			}
			if fired != c.fires {
				t.Errorf("fired after second %d, want %d", fired, c.fires)
			}
		})
	}
}

// A condition on a route is about it wherever requests come from, one on a region about
// what comes from there.
func TestStopWatchOnRegions(t *testing.T) {
	routes := []experiment.Route{{Name: "pay@eu", Weight: 0.6}, {Name: "pay@us", Weight: 0.4}}
	for _, c := range []struct {
		route  string
		share  float64
		stops  bool
		figure string
	}{
		{"pay", 1, false, ""}, {"", 1, false, ""}, {"pay@us", 0.4, false, ""},
		{"@eu", 0.6, true, "10 of 60 requests"}, {"pay@eu", 0.6, true, "10 of 60 requests"},
	} {
		w := newStopConditions([]experiment.Stop{{Route: c.route, SuccessBelow: 0.5, For: time.Second}}, routes)
		var eu, us [load.Outcomes]uint64
		eu[load.OK], eu[load.ServerError], us[load.OK] = 10, 50, 40
		why := w.tick(evidence.Tick{Offered: 100, Routes: map[string][load.Outcomes]uint64{"pay@eu": eu, "pay@us": us}})
		if (why != "") != c.stops || !strings.Contains(why, c.figure) {
			t.Errorf("%q: %q", c.route, why)
		}
		if got := w.shares[0]; got < c.share-1e-9 || got > c.share+1e-9 {
			t.Errorf("%q has a share of %v, want %v", c.route, got, c.share)
		}
	}
}

// Each figure of links and of the harness, on both sides of its bound.
func TestStopWatchOnLinksAndHarness(t *testing.T) {
	link := func(l evidence.LinkTick) evidence.Tick {
		return evidence.Tick{Links: map[string]evidence.LinkTick{"payments": l}}
	}
	for _, c := range []struct {
		stop experiment.Stop
		tick evidence.Tick
		want string
	}{
		{experiment.Stop{Link: "payments", ErrorsAbove: 0.2}, link(evidence.LinkTick{Ended: 10, Errors: 2}), ""},
		{experiment.Stop{Link: "payments", ErrorsAbove: 0.2}, link(evidence.LinkTick{Ended: 10, Errors: 3}),
			"limit: errors of link \"payments\" were above 20% for 1 s (in the last second 3 of 10 exchanges that ended)"},
		{experiment.Stop{Link: "payments", ErrorsAbove: 0.2}, link(evidence.LinkTick{}), ""}, // nothing ended: it says nothing
		{experiment.Stop{Link: "payments", P99Above: time.Second}, link(evidence.LinkTick{Ended: 1, P99: evidence.Seconds(time.Second)}), ""},
		{experiment.Stop{Link: "payments", P99Above: time.Second}, link(evidence.LinkTick{Ended: 1, P99: evidence.Seconds(2 * time.Second)}),
			"limit: p99 of link \"payments\" was above 1s for 1 s (in the last second 2s)"},
		{experiment.Stop{Link: "payments", InFlightAbove: 5}, link(evidence.LinkTick{InFlight: 5}), ""},
		{experiment.Stop{Link: "payments", InFlightAbove: 5}, link(evidence.LinkTick{InFlight: 6}), // though nothing ended: it hangs
			"limit: more than 5 exchanges of link \"payments\" were in flight for 1 s (in the last second 6)"},
		{experiment.Stop{SendLagAbove: time.Millisecond}, evidence.Tick{Ended: 1, LagP99: evidence.Seconds(time.Millisecond)}, ""},
		{experiment.Stop{SendLagAbove: time.Millisecond}, evidence.Tick{Ended: 1, LagP99: evidence.Seconds(2 * time.Millisecond)},
			"limit: p99 of the send lag was above 1ms for 1 s (in the last second 2ms)"},
		{experiment.Stop{CPUAbove: 1.5}, evidence.Tick{CPU: 1.5}, ""},
		{experiment.Stop{CPUAbove: 1.5}, evidence.Tick{CPU: 1.75}, "limit: the harness used more than 1.5 cores for 1 s (in the last second 1.75)"},
	} {
		c.stop.For = time.Second
		if got := newStopConditions([]experiment.Stop{c.stop}, nil).tick(c.tick); got != c.want {
			t.Errorf("%s: %q, want %q", c.stop, got, c.want)
		}
	}
}
