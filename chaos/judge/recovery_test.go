package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

func TestRecovery(t *testing.T) {
	claim := Recovery{Route: "pay", Within: 2 * time.Second}
	cases := []struct {
		name   string
		change func(*world)
		claim  func(*Recovery)
		want   Ruling
		reason string
	}{
		{"comes back at once", nil, nil, Held, "goodput was back"},
		{"comes back at once on an ordinary host", func(w *world) { w.stalls, w.stall = 7, 25*ms }, nil, Held, "goodput was back"},
		// The breaker opens at about 2.0 s and probes every 1.2 s: 3.2, 4.4, 5.6; the fault heals at 4.0 s.
		{"comes back with the breaker", func(w *world) { w.breaker = breakerModel{failures: 5, open: 1200 * ms, probes: 1} }, nil, Held, "goodput was back"},
		{"comes back too late", func(w *world) { w.breaker = breakerModel{failures: 5, open: 1900 * ms, probes: 1} }, func(c *Recovery) { c.Within = time.Second }, Refuted, "goodput was back"},
		{"metastable", func(w *world) { w.backlog = true }, nil, Refuted, "metastable"},
		{"metastable on a busy host", func(w *world) { w.backlog, w.stalls, w.stall = true, 40, 80*ms }, nil, Refuted, "metastable"},
		{"ends too soon", func(w *world) { w.backlog, w.total = true, 5*time.Second }, nil, Inconclusive, "let the load go on"},
		{"ends in the fault", func(w *world) { w.total, w.faults[0].Healed = 3*time.Second, -1 }, nil, Inconclusive, "still in force"},
		{"killed after healing", func(w *world) { w.backlog, w.cut = true, 6*time.Second }, nil, Inconclusive, "let the load go on"},
		{"nothing failed", func(w *world) { w.faults[0].Share = 0 }, nil, Inconclusive, "nothing to recover from"},
		{"no fault", func(w *world) { w.faults = nil }, nil, Inconclusive, "no fault"},
		{"fault from the start", func(w *world) { w.faults[0].Injected = 0 }, nil, Inconclusive, "too few to compare"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
				w, claim := failing(seed), claim
				if c.change != nil {
					c.change(&w)
				}
				if c.claim != nil {
					c.claim(&claim)
				}
				v := claim.Judge(w.play())
				if v.Ruling != c.want || !strings.Contains(v.Reason, c.reason) {
					t.Fatalf("seed %d: %s: %s\n%v\nwant %s: %q", seed, v.Ruling, v.Reason, v.Numbers, c.want, c.reason)
				}
				if v.Ruling == Refuted && len(v.IDs) == 0 {
					t.Fatalf("seed %d: refuted without an id", seed)
				}
			}
		})
	}
}

// failing is a system without a breaker whose dependency fails for two seconds.
func failing(seed uint64) world {
	return world{seed: seed, rate: 150 + float64(seed*37%300), poisson: seed%2 == 0, total: 8 * time.Second, ids: true, service: 5 * ms, spread: 1,
		breaker: breakerModel{none: true}, faults: []evidence.Injection{fault(0, "errors", 2*time.Second, 2*time.Second, 503)}}
}

// A system that comes back only because it is asked for less has not
// recovered; one that is asked for much more and stays down has not failed to.
func TestRecoveryAtTheSameLoad(t *testing.T) {
	for _, c := range []struct {
		name string
		keep int // of four arrivals after the healing
		bad  bool
		want Ruling
	}{
		{"same load", 4, false, Held},
		{"half the load", 2, false, Inconclusive},
		{"half the load and still down", 2, true, Refuted},
	} {
		w := failing(3)
		w.backlog = c.bad
		run := w.play()
		var front []load.Sample
		for i, s := range run.Samples {
			if s.Intended < 4*time.Second || i/5%4 < c.keep {
				front = append(front, s)
			}
		}
		run.Samples = front
		if v := (Recovery{Within: 2 * time.Second, Goodput: 0.9}).Judge(run); c.name != "half the load and still down" && v.Ruling != c.want {
			t.Errorf("%s: %s: %s, want %s", c.name, v.Ruling, v.Reason, c.want)
		}
		if v := (Recovery{Route: "pay", Within: 2 * time.Second}).Judge(run); v.Ruling != c.want {
			t.Errorf("%s, one route: %s: %s, want %s", c.name, v.Ruling, v.Reason, c.want)
		}
	}
	w := failing(3)
	w.backlog = true
	run := w.play()
	for _, s := range run.Samples {
		if s.Intended > 4*time.Second { // twice the load after the healing
			run.Samples = append(run.Samples, s)
		}
	}
	if v := (Recovery{Route: "pay", Within: 2 * time.Second}).Judge(run); v.Ruling != Inconclusive {
		t.Errorf("twice the load: %s: %s, want inconclusive", v.Ruling, v.Reason)
	}
}

// A run that was cut while its first fault was fresh does not say that there was
// none.
func TestCutWithAFreshFault(t *testing.T) {
	w := episodesOf(1, 300, 150*ms)
	w.cut = 4 * time.Second
	run := w.play()
	run.Faults = run.Faults[1:2]
	run.Faults[0].Injected, run.Faults[0].Healed = 3*time.Second, -1
	for _, c := range []Claim{Timeout{Link: "payments", Route: "pay", Within: time.Second}, Recovery{Route: "pay", Within: time.Second}} {
		if v := c.Judge(run); v.Ruling != Inconclusive || !strings.Contains(v.Reason, "in force") || !strings.Contains(v.Reason, "was cut") {
			t.Errorf("%s: %s", v.Ruling, v.Reason)
		}
	}
}
