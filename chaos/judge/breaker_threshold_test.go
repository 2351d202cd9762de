package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
)

// failingFor is a run whose dependency fails from 3 s to 6 s, slowly or at once.
func failingFor(seed uint64, rate float64, slow time.Duration, b breakerModel) world {
	w := world{seed: seed, rate: rate, total: 10 * time.Second, ids: true, service: ms, spread: 1, timeout: time.Second,
		faults: []evidence.Injection{fault(0, "errors", 3*time.Second, 3*time.Second, 503)}, breaker: b, late: map[int]time.Duration{}}
	if slow > 0 {
		late := fault(1, "latency", 3*time.Second, 3*time.Second)
		late.Delay = evidence.Seconds(slow)
		w.late[1] = slow
		w.faults = append(w.faults, late)
	}
	if w.breaker.open == 0 {
		w.breaker.open = 2 * time.Second
	}
	w.breaker.probes = max(w.breaker.probes, 1)
	return w
}

// After how many failures it opens, as it is and as it is declared. These were
// held once: the declared figure went into what was measured.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name     string
		rate     float64
		slow     time.Duration
		truth    int
		declared int
		want     Ruling
	}{
		{"fast, as declared", 100, 0, 5, 5, Held},
		{"fast, one more is needed", 100, 0, 6, 5, Refuted},
		{"fast, one less was declared", 100, 0, 5, 4, Refuted},
		{"fast, a single one", 100, 0, 1, 1, Held},
		{"fast, two", 100, 0, 2, 1, Refuted},
		{"fast, far below", 100, 0, 5, 50, Held},
		{"slow, 6 for 5", 300, 150 * ms, 6, 5, Refuted},
		{"slow, 8 for 5", 300, 150 * ms, 8, 5, Refuted},
		{"slow, 10 for 5", 300, 150 * ms, 10, 5, Refuted},
		{"slow, 5 for 4", 300, 150 * ms, 5, 4, Refuted},
		{"slow, as declared", 300, 150 * ms, 5, 5, Inconclusive}, // or held
		{"slow, with room", 300, 150 * ms, 5, 9, Held},
		{"at 8,000/s, 115 for 5", 8000, 0, 115, 5, Refuted},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
				w := failingFor(seed, c.rate, c.slow, breakerModel{failures: c.truth})
				run := w.play()
				v := Breaker{Link: "payments", Route: "pay", Failures: c.declared}.Judge(run)
				p := partOf(v, "failures")
				// Where more come at once than the lie is large it is not held at the least.
				wrong := p == nil || c.slow == 0 && p.Ruling != c.want
				if wrong || p.Ruling == Held && c.want == Refuted || p.Ruling == Refuted && c.want != Refuted {
					t.Errorf("seed %d: %v: %s", seed, v.Ruling, v.Reason)
					continue
				}
				if p.Seen.Low > float64(c.truth) || p.Seen.High < float64(c.truth) {
					t.Errorf("seed %d: %v does not hold the truth %d", seed, *p.Seen, c.truth)
				}
				again := Breaker{Link: "payments", Route: "pay", Failures: c.declared + 3}.Judge(run)
				if q := partOf(again, "failures"); *q.Seen != *p.Seen {
					t.Errorf("seed %d: %v is measured where %d are declared, and %v where %d are", seed, *p.Seen, c.declared, *q.Seen, c.declared+3)
				}
			}
		})
	}
}

// With a retry within the breaker, what a failure is must be said: 5 requests that
// fail are 10 attempts.
func TestFailuresByRequestOrByAttempt(t *testing.T) {
	run := failingFor(1, 50, 0, breakerModel{failures: 5, retries: 1}).play()
	for _, c := range []struct {
		counts   string
		declared int
		want     Ruling
		reason   string
	}{
		{"", 5, Inconclusive, "say counts: request or counts: attempt"},
		{"", 9, Inconclusive, "say counts: request or counts: attempt"},
		{"", 10, Held, "opened after 5 to 10"},
		{"", 4, Refuted, "opened after 5 to 10"},
		{"request", 5, Held, "opened after 5 failures"},
		{"request", 4, Refuted, "opened after 5 failures"},
		{"attempt", 9, Inconclusive, "opened after 9 to 10"}, // the last request's first attempt and its second: which of the two opened it
		{"attempt", 5, Refuted, "opened after 9 to 10"},
		{"attempt", 10, Held, "opened after 9 to 10"},
	} {
		v := Breaker{Link: "payments", Route: "pay", Failures: c.declared, Counts: c.counts}.Judge(run)
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.reason) {
			t.Errorf("%q, %d: %s: %s; want %s: %s", c.counts, c.declared, v.Ruling, v.Reason, c.want, c.reason)
		}
	}
}

// Several instances behind one link open after as many failures each, and send
// their probes each.
func TestInstancesBehindOneLink(t *testing.T) {
	for _, c := range []struct {
		name             string
		truth, probes    int
		declared, number int
		want             Ruling
	}{
		{"as declared, which may be 12 of one", 3, 1, 3, 4, Inconclusive},
		{"all together", 3, 1, 12, 4, Inconclusive}, // it is 4 probes then, of one
		{"of one", 3, 1, 3, 0, Refuted},
		{"needs more", 9, 1, 3, 4, Refuted},
		{"half-open lets more through", 3, 3, 3, 4, Refuted},
	} {
		for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
			w := failingFor(seed, 200, 0, breakerModel{failures: c.truth, probes: c.probes, instances: 4})
			slow := fault(1, "latency", 4*time.Second, 2*time.Second)
			w.faults, w.late[1] = append(w.faults, slow), 150*ms
			claim := Breaker{Link: "payments", Route: "pay", Failures: c.declared, Probes: 1,
				Waits: 2 * time.Second, Instances: c.number, ClosesWithin: 3 * time.Second}
			if v := claim.Judge(w.play()); v.Ruling != c.want {
				t.Errorf("%s, seed %d: %s: %s; want %s", c.name, seed, v.Ruling, v.Reason, c.want)
			}
		}
	}
}

// Callers that wait for a probe's result, as cockatiel's do, show as well as
// rejected ones that no more were let through; a fault that fails at once shows
// neither, and leaves nothing else open.
func TestProbes(t *testing.T) {
	claim := Breaker{Link: "payments", Route: "pay", Failures: 20, Waits: 2 * time.Second, Probes: 1, ClosesWithin: 3 * time.Second}
	two, all, lots := claim, claim, claim
	two.Probes, all.Probing, lots.Probing = 2, "cumulative", "window"
	for _, c := range []struct {
		name   string
		slow   time.Duration
		b      breakerModel
		claim  Breaker
		want   Ruling
		reason string
	}{
		{"rejected meanwhile", 150 * ms, breakerModel{failures: 5}, claim, Held, "let 1 call through"},
		{"callers wait", 150 * ms, breakerModel{failures: 5, waiters: true}, claim, Held, "let 1 call through"},
		{"one extra probe", 150 * ms, breakerModel{failures: 5, probes: 2}, claim, Refuted, "let 2 calls through"},
		{"one extra probe, callers wait", 150 * ms, breakerModel{failures: 5, probes: 2, waiters: true}, claim, Refuted, "let 2 calls through"},
		{"two", 150 * ms, breakerModel{failures: 5, probes: 2}, two, Held, "let 2 calls through"},
		{"in all", 150 * ms, breakerModel{failures: 5}, all, Inconclusive, "let latency stay for a while after"},
		{"one extra probe in all", 150 * ms, breakerModel{failures: 5, probes: 2}, all, Refuted, "let at least 2 calls through"},
		{"per wait", 150 * ms, breakerModel{failures: 5}, lots, Held, "let 1 call through"},
		{"one extra probe per wait", 150 * ms, breakerModel{failures: 5, probes: 2}, lots, Refuted, "let 2 calls through"},
		{"fails at once", 0, breakerModel{failures: 5}, claim, Inconclusive, "add latency of"},
		{"fails at once, callers wait", 0, breakerModel{failures: 5, waiters: true}, claim, Inconclusive, "add latency of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
				v := c.claim.Judge(failingFor(seed, 300, c.slow, c.b).play())
				if v.Ruling != c.want || !strings.Contains(v.Reason, c.reason) {
					t.Errorf("seed %d: %s: %s; want %s: %s", seed, v.Ruling, v.Reason, c.want, c.reason)
				}
				for _, p := range v.Parts {
					if p.Name != "probes" && p.Ruling != Held && p.Name != "silent" {
						t.Errorf("seed %d: %s is %s: %s", seed, p.Name, p.Ruling, p.Reason)
					}
				}
			}
		})
	}
	// waits alone claims nothing of probes.
	alone := Breaker{Link: "payments", Route: "pay", Waits: 2 * time.Second}
	if v := alone.Judge(failingFor(1, 300, 0, breakerModel{failures: 5}).play()); v.Ruling != Held {
		t.Errorf("waits alone: %s: %s; want held", v.Ruling, v.Reason)
	}
}

// One call while open is found at 1,000/s, whenever it comes, and an open time
// that is a tenth short or long, and one that opens again without a fault.
func TestSmallestBreakerViolations(t *testing.T) {
	claim := Breaker{Link: "payments", Route: "pay", Failures: 40, Waits: 2 * time.Second, Probes: 1, ClosesWithin: 3 * time.Second}
	for _, c := range []struct {
		name   string
		b      breakerModel
		part   string
		reason string
	}{
		{"one call 100 ms after it opened", breakerModel{one: 100 * ms}, "silent", "reached"},
		{"one call in the middle", breakerModel{one: time.Second}, "silent", "reached"},
		{"one call before it is over", breakerModel{one: 1800 * ms}, "silent", "reached"},
		{"a tenth short", breakerModel{open: 1800 * ms}, "waits", "instead of 2.0 s"},
		{"a tenth long", breakerModel{open: 2200 * ms}, "waits", "instead of 2.0 s"},
		{"opens again without a fault", breakerModel{relapses: 500 * ms}, "closes_within", "opened again without a fault"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
				c.b.failures = 5
				w := failingFor(seed, 1000, 150*ms, c.b)
				w.total = 12 * time.Second
				v := claim.Judge(w.play())
				if p := partOf(v, c.part); p == nil || p.Ruling != Refuted || !strings.Contains(p.Reason, c.reason) {
					t.Errorf("seed %d: %s: %s; want %s refuted: %s", seed, v.Ruling, v.Reason, c.part, c.reason)
				}
			}
		})
	}
}

// An opossum-like breaker: by rate in a window of ten buckets, at 20/s.
func TestFailureRate(t *testing.T) {
	rated := func(seed uint64, b breakerModel) world {
		b.open, b.probes = 2*time.Second, 1
		return world{seed: seed, rate: 25, total: 45 * time.Second, ids: true, service: ms, spread: 1, timeout: time.Second, breaker: b,
			faults: []evidence.Injection{fault(0, "errors", 300*ms, 2*time.Second, 503), fault(1, "errors", 7300*ms, 5*time.Second, 503),
				fault(2, "errors", 30*time.Second, 7*time.Second, 503)}}
	}
	opossum := breakerModel{share: 0.5, window: 10 * time.Second, buckets: 10, minimum: 20}
	sliding := breakerModel{share: 0.5, window: 10 * time.Second, minimum: 20, forgets: true}
	claim := Breaker{Link: "payments", Route: "pay", FailureRate: 0.5, Window: 10 * time.Second, Minimum: 20, Buckets: 10,
		Waits: 2 * time.Second}
	slides := claim
	slides.Buckets = 0
	for _, c := range []struct {
		name  string
		b     breakerModel
		claim Breaker
	}{{"ten buckets", opossum, claim}, {"sliding", sliding, slides}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			held := 0
			for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
				run := rated(seed, c.b).play()
				v := c.claim.Judge(run)
				switch v.Ruling {
				case Refuted:
					t.Errorf("seed %d: sound and refuted: %s", seed, v.Reason)
				case Held:
					held++
				}
				for _, x := range []float64{0.5, 0.8, 0.9, 1.1, 1.25, 2} {
					for name, change := range map[string]func(*Breaker){
						"failure_rate": func(b *Breaker) { b.FailureRate = c.claim.FailureRate * unit.Share(x) },
						"window":       func(b *Breaker) { b.Window = scaled(c.claim.Window, x) },
						"minimum":      func(b *Breaker) { b.Minimum = int(float64(c.claim.Minimum) * x) },
					} {
						lie := c.claim
						change(&lie)
						if lie.FailureRate >= 1 || name == "window" && x == 1.1 && lie.Buckets > 0 {
							continue // a bucket more is not told from a window that rolls by buckets
						}
						v := lie.Judge(run)
						if clear := x == 0.5 || x == 2; v.Ruling == Held || clear && v.Ruling != Refuted {
							t.Errorf("seed %d: %s × %v is %s: %s", seed, name, x, v.Ruling, v.Reason)
						}
					}
				}
			}
			if 50*held < 49**modelSeeds {
				t.Errorf("sound and held %d times of %d", held, *modelSeeds)
			}
		})
	}
}

// A breaker that rounds the share to whole percents, as hystrix does, opens half a percent
// early: its window is told all the same, and false ones are not held.
func TestFailureRateThatIsRounded(t *testing.T) {
	claim := Breaker{Link: "payments", Route: "pay", FailureRate: 0.5, Window: 10 * time.Second, Buckets: 10, Waits: 5 * time.Second}
	held := 0
	for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
		run := world{seed: seed, rate: 50, total: 32 * time.Second, ids: true, service: ms, spread: 1, timeout: time.Second,
			breaker: breakerModel{share: 0.495, window: 10 * time.Second, buckets: 10, minimum: 20, forgets: true, open: 5 * time.Second, probes: 1},
			faults: []evidence.Injection{fault(0, "errors", 2*time.Second, 4*time.Second, 503),
				fault(1, "errors", 22*time.Second, 8*time.Second, 503)}}.play()
		switch v := claim.Judge(run); v.Ruling {
		case Refuted:
			t.Errorf("seed %d: sound and refuted: %s", seed, v.Reason)
		case Held:
			held++
		default:
			t.Logf("seed %d: %s", seed, v.Reason)
		}
		for _, x := range []float64{0.5, 0.8, 0.9, 1.25, 2} {
			window, rate := claim, claim
			window.Window = scaled(claim.Window, x)
			rate.FailureRate *= unit.Share(x)
			for _, lie := range []Breaker{window, rate} {
				if v := lie.Judge(run); lie.FailureRate < 1 && v.Ruling == Held {
					t.Errorf("seed %d: %v over %v is held: %s", seed, lie.FailureRate, lie.Window, v.Reason)
				}
			}
		}
	}
	if 50*held < 49**modelSeeds {
		t.Errorf("sound and held %d times of %d", held, *modelSeeds)
	}
}

// One that opened late may have waited for calls: what is declared stays possible.
func TestOpensAt(t *testing.T) {
	for _, c := range []struct{ first, want Interval }{
		{Interval{0.49, 0.51}, Interval{0.5, 0.5}},
		{Interval{0.49, 0.497}, Interval{0.49, 0.497}},
		{Interval{0.503, 0.51}, Interval{0.5, 0.51}},
	} {
		if got := opensAt(0.5, c.first); got != c.want {
			t.Errorf("of %v: %v, want %v", c.first, got, c.want)
		}
	}
}
