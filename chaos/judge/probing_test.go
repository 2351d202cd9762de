package judge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// How many probes there are in all, and at a time, where none fails: a breaker that
// lets them through one after the other lets more through than the first result
// shows, which only those that succeed can tell, and slow ones.
func TestProbesThatSucceed(t *testing.T) {
	for _, c := range []struct {
		b        breakerModel
		probing  string
		probes   int
		slow     bool // latency outlasts the errors
		want     Ruling
		contains string
	}{
		{breakerModel{probes: 1}, "cumulative", 1, true, Held, "let 1 call through"},
		{breakerModel{probes: 1}, "cumulative", 1, false, Inconclusive, "add latency of"},
		{breakerModel{probes: 3}, "cumulative", 3, true, Held, "let 3 calls through"},
		{breakerModel{probes: 3}, "cumulative", 2, true, Refuted, "half-open let 3 "},
		{breakerModel{probes: 3}, "concurrent", 3, true, Held, "let 3 calls through"},
		{breakerModel{probes: 3}, "concurrent", 2, true, Refuted, "let 3 calls through"},
		{breakerModel{probes: 3, single: true}, "cumulative", 1, true, Refuted, "let 3 calls through"},
		{breakerModel{probes: 3, single: true}, "cumulative", 2, true, Refuted, "let 3 calls through"},
		{breakerModel{probes: 3, single: true}, "cumulative", 1, false, Inconclusive, "add latency of"},
		{breakerModel{probes: 3, single: true}, "cumulative", 3, true, Held, "let 3 calls through"},
		{breakerModel{probes: 3, single: true}, "concurrent", 1, true, Held, "let 1 call through"},
		{breakerModel{probes: 3, single: true}, "", 1, true, Held, "let 1 call through"},
	} {
		t.Run(fmt.Sprintf("%d, single %v, %s %d, slow %v", c.b.probes, c.b.single, c.probing, c.probes, c.slow), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
				c.b.failures = 5
				w := failingFor(seed, 300, 0, c.b)
				w.faults[0].Healed = 4 * time.Second // before the first probe
				if c.slow {
					late := fault(1, "latency", 4*time.Second, 3*time.Second)
					late.Delay = evidence.Seconds(100 * ms)
					w.faults, w.late[1] = append(w.faults, late), 100*ms
				}
				claim := Breaker{Link: "payments", Route: "pay", Waits: 2 * time.Second, Probes: c.probes, Probing: c.probing}
				v := claim.Judge(w.play())
				if v.Ruling != c.want || !strings.Contains(v.Reason, c.contains) {
					t.Errorf("seed %d: %s: %s; want %s: %s", seed, v.Ruling, v.Reason, c.want, c.contains)
				}
			}
		})
	}
}

// One that opens again once so many probes failed, as failsafe-go's, lets the next through
// where one has failed and others are out: it has not opened again by then.
func TestProbesThatFailAtATime(t *testing.T) {
	for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
		for _, c := range []struct {
			waits   time.Duration
			refuted bool
		}{{2 * time.Second, false}, {2500 * ms, true}, {1500 * ms, true}} {
			w := failingFor(seed, 200, 150*ms, breakerModel{failures: 5, probes: 5, lots: true})
			v := Breaker{Link: "payments", Route: "pay", Failures: 5, Waits: c.waits, Probes: 5, Probing: "concurrent"}.Judge(w.play())
			if (v.Ruling == Refuted) != c.refuted {
				t.Errorf("seed %d: waits: %v is %s: %s", seed, c.waits, v.Ruling, v.Reason)
			}
		}
	}
}
