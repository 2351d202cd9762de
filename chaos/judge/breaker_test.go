package judge

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// sound is a run as the examples make it: 404s for two seconds, which must not
// trip the breaker, then slow 503s for five, long enough for two failing
// probes at a wait of 1.5 s; then 4 s to come back. The rate and the law of the
// arrivals vary with the seed.
func sound(seed uint64) world {
	rng := rand.New(rand.NewPCG(seed, 2))
	slow := fault(1, "latency", 4*time.Second, 5*time.Second)
	slow.Delay = evidence.Seconds(100 * ms)
	return world{
		seed: seed, rate: 200 + 800*rng.Float64(), poisson: seed%2 == 0, total: 13 * time.Second, ids: true,
		service: 5 * ms, spread: 1, timeout: time.Second,
		faults:  []evidence.Injection{fault(0, "errors", time.Second, 2*time.Second, 404), slow, fault(2, "errors", 4*time.Second, 5*time.Second, 503)},
		late:    map[int]time.Duration{1: 100 * ms},
		breaker: breakerModel{failures: 5, open: 1500 * ms, probes: 1},
	}
}

// Its calls fail slowly and many at a time, so that after how many it opened is
// known within some only: the claim leaves room for that. TestFailures is about
// the exact figure.
var protects = Breaker{Link: "payments", Route: "pay", Failures: 12, OpensWithin: time.Second, Waits: 1500 * ms, Probes: 1,
	RejectsWithin: 20 * ms, ClosesWithin: 2500 * ms, Ignores: []int{404}}

func TestBreaker(t *testing.T) {
	cases := []struct {
		name   string
		change func(*world)
		claim  func(*Breaker)
		want   Ruling
		reason string // part of it
	}{
		{"sound", nil, nil, Held, "0 of"},
		{"sound by rate", func(w *world) { w.ids = false }, nil, Held, "rests on rates"},
		{"sound on a hung dependency", func(w *world) {
			w.timeout = 300 * ms
			w.faults = []evidence.Injection{fault(0, "errors", time.Second, 2*time.Second, 404), fault(1, "partition", 4*time.Second, 5*time.Second)}
		}, func(b *Breaker) { b.Failures = 40 }, Held, "closed"},
		{"sound with three probes", func(w *world) { w.breaker.probes = 3 }, func(b *Breaker) { b.Probes = 3 }, Held, "3 calls"},
		{"sound behind a cache", func(w *world) { w.cached = 0.4 }, nil, Held, "closed"},
		{"sound, errors without delay", func(w *world) {
			w.rate, w.service, w.spread = 200, 100*time.Microsecond, 0
			w.faults = w.faults[:1:1]
			w.faults = append(w.faults, fault(2, "errors", 4*time.Second, 5*time.Second, 503))
		}, nil, Inconclusive, "add latency"},
		{"sound, some calls held up on their way", func(w *world) { w.held = 0.02 }, nil, Held, "closed"},
		{"sound and sent late", func(w *world) { w.lag = 8 * ms }, nil, Held, "closed"},

		{"never opens", func(w *world) { w.breaker.none = true }, nil, Refuted, "never opened"},
		{"never opens, only a time is claimed", func(w *world) { w.breaker.none = true }, func(b *Breaker) { b.Failures = 0 }, Refuted, "never opened"},
		{"never opens, only failures are claimed", func(w *world) { w.breaker.none = true }, func(b *Breaker) { b.OpensWithin = 0 }, Refuted, "never opened"},
		{"never opens, by rate", func(w *world) { w.breaker.none, w.ids = true, false }, nil, Refuted, "never opened"},
		{"opens late", func(w *world) { w.breaker.failures = 40 }, nil, Refuted, "at most 12 claimed"},
		{"opens late, only a time is claimed", func(w *world) { w.breaker.failures = 300 }, func(b *Breaker) { b.Failures, b.OpensWithin = 0, 200*ms }, Refuted, "at most 200 ms claimed"},
		{"keeps calling in the background", func(w *world) { w.breaker.ghost = true }, nil, Refuted, "kept calling while open"},
		{"keeps calling with a fifth", func(w *world) { w.breaker.leak = 0.2 }, nil, Refuted, "kept calling while open"},
		{"keeps calling with one in fifty", func(w *world) { w.breaker.leak = 0.02 }, nil, Refuted, ""},
		{"keeps calling once a probe failed", func(w *world) { w.breaker.lapse = 0.05 }, nil, Refuted, "kept calling while open"},
		{"half-open flood", func(w *world) { w.breaker.flood = true }, nil, Refuted, "half-open let"},
		{"never closes", func(w *world) { w.breaker.stuck = true }, nil, Refuted, "did not close"},
		{"never probes", func(w *world) { w.breaker.silent = true }, nil, Refuted, "stayed open"},
		{"trips on 404", func(w *world) { w.breaker.statuses = []int{404} }, nil, Refuted, "must ignore"},
		{"waits too little", func(w *world) { w.breaker.open = time.Second }, nil, Refuted, "instead of 1.5 s"},
		{"waits too long", func(w *world) { w.breaker.open = 2 * time.Second }, nil, Refuted, "instead of 1.5 s"},
		{"rejects slowly", func(w *world) { w.breaker.rejects = 60 * ms }, nil, Refuted, "slow to reject"},

		{"no fault", func(w *world) { w.faults = nil }, nil, Inconclusive, "no fault"},
		{"never injected", func(w *world) {
			for i := range w.faults {
				w.faults[i].Injected, w.faults[i].Healed = -1, -1
			}
		}, nil, Inconclusive, "no fault"},
		{"fault on another link", func(w *world) {
			for i := range w.faults {
				w.faults[i].On = "stock"
				w.faults[i].Share = 0
			}
		}, nil, Inconclusive, "no fault"},
		{"fault hits nothing", func(w *world) { w.faults[1].Share, w.faults[2].Share = 0, 0 }, nil, Inconclusive, "hit no call"},
		{"only latency and nothing fails", func(w *world) { w.faults = w.faults[:2] }, nil, Inconclusive, "none of them failed"},
		{"too few calls fail", func(w *world) {
			w.breaker.none = true
			w.faults[1].Share, w.faults[2].Healed = 0, 4*time.Second+60*ms
		}, func(b *Breaker) { b.Failures = 100; b.Ignores = nil }, Inconclusive, "needed"},
		{"the fault is shorter than it has to open", func(w *world) {
			w.breaker.none = true
			w.faults[1].Healed, w.faults[2].Healed = 4900*ms, 4900*ms
		}, func(b *Breaker) { b.Failures = 0 }, Inconclusive, "let the fault last longer"},
		{"too few arrivals", func(w *world) { w.rate = 12 }, nil, Inconclusive, "add latency"},
		{"ends while open", func(w *world) { w.total = 5 * time.Second; w.faults[1].Healed, w.faults[2].Healed = -1, -1 }, nil, Inconclusive, "before its first probe"},
		{"ends before it can close", func(w *world) { w.total = 9500 * ms }, nil, Inconclusive, "let the load go on"},
		{"killed in the fault", func(w *world) { w.cut = 6500 * ms }, nil, Inconclusive, ""},
		{"killed in the fault, never opens", func(w *world) { w.breaker.none = true; w.cut = 8500 * ms }, nil, Refuted, "never opened"},
		{"ignored status never shown", func(w *world) { w.faults[0].Injected, w.faults[0].Healed = -1, -1 }, nil, Inconclusive, "404"},
		{"nothing says when", func(w *world) { w.breaker.none = true }, func(b *Breaker) { b.Failures, b.OpensWithin = 0, 0 }, Inconclusive, "not seen to open"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
				w, claim := sound(seed), protects
				if c.change != nil {
					c.change(&w)
				}
				if c.claim != nil {
					c.claim(&claim)
				}
				run := w.play()
				v := claim.Judge(run)
				if v.Ruling != c.want || !strings.Contains(v.Reason, c.reason) {
					t.Fatalf("seed %d at %.0f/s: %s: %s\n%v\nwant %s: %q", seed, w.rate, v.Ruling, v.Reason, v.Numbers, c.want, c.reason)
				}
				if seed == 1 {
					t.Logf("%.0f/s: %s: %s\n%v", w.rate, v.Ruling, v.Reason, v.Numbers)
				}
				if v.Ruling == Refuted && len(v.IDs) == 0 && w.ids && !strings.Contains(v.Reason, "closed") {
					t.Errorf("seed %d: refuted without an id: %s", seed, v.Reason)
				}
				if again := claim.Judge(run); !cmp.Equal(v, again) {
					t.Fatalf("seed %d: judged twice, two verdicts:\n%s", seed, cmp.Diff(v, again))
				}
			}
		})
	}
}

// On a host that stalls now and then, as every virtual machine does, the ruling
// is the same. On one that stalls all the time it may be lost but never be wrong.
func TestBreakerOnBusyHost(t *testing.T) {
	flaws := map[string]func(*world){
		"sound":                           func(*world) {},
		"never opens":                     func(w *world) { w.breaker.none = true },
		"opens late":                      func(w *world) { w.breaker.failures = 40 },
		"keeps calling in the background": func(w *world) { w.breaker.ghost = true },
		"keeps calling with a fifth":      func(w *world) { w.breaker.leak = 0.2 },
		"half-open flood":                 func(w *world) { w.breaker.flood = true },
		"never closes":                    func(w *world) { w.breaker.stuck = true },
		"trips on 404":                    func(w *world) { w.breaker.statuses = []int{404} },
	}
	hosts := []struct {
		name   string
		stalls int
		stall  time.Duration
		loses  bool
	}{
		{"ordinary", 13, 25 * ms, false}, // about 1% of the time
		{"busy", 60, 80 * ms, true},      // about 20% of the time
		{"starved", 60, 300 * ms, true},  // half of the time
	}
	for _, host := range hosts {
		for name, flaw := range flaws {
			right, wrong := Refuted, Held
			if name == "sound" {
				right, wrong = Held, Refuted
			}
			t.Run(host.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				lost := 0
				for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
					w := sound(seed)
					w.stalls, w.stall = host.stalls, host.stall
					flaw(&w)
					v := protects.Judge(w.play())
					if v.Ruling == wrong || v.Ruling != right && !host.loses {
						t.Fatalf("seed %d at %.0f/s: %s: %s\n%v", seed, w.rate, v.Ruling, v.Reason, v.Numbers)
					}
					if v.Ruling == Inconclusive {
						lost++
						if lost == 1 {
							t.Log(v.Reason)
						}
					}
				}
				t.Logf("%d of %d inconclusive", lost, *modelSeeds)
			})
		}
	}
}

func TestBreakerIsRuledOnByAHealthyHarnessOnly(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*evidence.Run)
		want  string
	}{
		{"evidence lost", func(r *evidence.Run) { r.Lost = map[string]uint64{"link-payments.csv": 40} }, "40 evidence records were lost"},
		{"lost while it ran", func(r *evidence.Run) { r.Ticks[5].Lost = 7 }, "7 evidence records were lost"},
	} {
		for _, flaw := range []bool{false, true} {
			w := sound(3)
			w.breaker.none = flaw
			run := w.play()
			c.spoil(run)
			if v := protects.Judge(run); v.Ruling != Inconclusive || !strings.Contains(v.Reason, c.want) {
				t.Errorf("%s, flawed %v: %s: %s; want inconclusive: %s", c.name, flaw, v.Ruling, v.Reason, c.want)
			}
		}
	}
}

// That requests were sent late is no reason to rule on nothing: none of its figures
// counts from when they were due but the time of a rejection, which is longer then.
func TestBreakerUnderALoadThatWasLate(t *testing.T) {
	run := sound(3).play()
	run.Ticks[5].LateP99 = evidence.Seconds(5 * time.Second)
	if v := protects.Judge(run); v.Ruling != Held {
		t.Errorf("sound: %s: %s", v.Ruling, v.Reason)
	}
}

// What a breaker lets through for a moment after the failure that should have
// opened it is its fault where it had the host to itself, and not where it had
// to wait for its turn.
func TestOpeningLateOnAContendedHost(t *testing.T) {
	w := sound(3)
	w.rate, w.poisson = 500, false
	w.breaker.failures = 20 // 15 more than claimed: 30 ms
	run := w.play()
	if v := protects.Judge(run); v.Ruling != Refuted || !strings.Contains(v.Reason, "at most 12 claimed") {
		t.Errorf("alone: %s: %s; want refuted: at most 12", v.Ruling, v.Reason)
	}
	for i := range run.Ticks {
		run.Ticks[i].Pressure = 0.4
	}
	if v := protects.Judge(run); v.Ruling == Refuted {
		t.Errorf("contended: %s: %s; want it not refuted", v.Ruling, v.Reason)
	}
	w.breaker.failures = 60
	run = w.play()
	for i := range run.Ticks {
		run.Ticks[i].Pressure = 0.4
	}
	if v := protects.Judge(run); v.Ruling != Refuted {
		t.Errorf("contended and far too late: %s: %s; want refuted", v.Ruling, v.Reason)
	}
}

func TestBreakerString(t *testing.T) {
	got := protects.String()
	want := "breaker of pay over payments: opens after 12 failures, opens within 1s, waits 1.5s, lets 1 probe through, rejects within 20ms, closes within 2.5s, ignores 404"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := fmt.Sprint(Breaker{Link: "b"}), "breaker of all routes over b: opens"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A process that waits for a core learns of a probe's success long after the link
// saw it, and turns calls away until then: it has not opened again.
func TestProbeWhoseResultIsKnownLate(t *testing.T) {
	for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
		w := episodesOf(seed, 300, 150*ms)
		w.breaker.learns = 217 * ms
		v := Breaker{Link: "payments", Route: "pay", Failures: 5, Waits: 2 * time.Second}.Judge(w.play())
		// Whether it waits from a probe or from its result cannot be told then.
		if waits := partOf(v, "waits"); v.Ruling == Refuted || waits.Ruling != Held {
			t.Errorf("seed %d: %s: %s", seed, v.Ruling, v.Reason)
		}
	}
}

// Slow to reject is what a breaker is where its process had the cores to itself.
func TestSlowToRejectOnACrowdedHost(t *testing.T) {
	w := episodesOf(1, 300, 150*ms)
	w.breaker.rejects = 100 * ms
	for pressure, want := range map[float64]Ruling{0: Refuted, 0.5: Inconclusive} {
		run := w.play()
		for i := range run.Ticks {
			run.Ticks[i].Pressure = pressure
		}
		v := Breaker{Link: "payments", Route: "pay", RejectsWithin: 50 * ms}.Judge(run)
		if p := partOf(v, "rejects_within"); p == nil || p.Ruling != want {
			t.Errorf("pressure %v: %s: %s, want %s", pressure, v.Ruling, v.Reason, want)
		}
	}
}

// Open for 50 ms at a time is too short to be seen as such; the requests that it
// turns away are seen.
func TestShortOpeningsOnAnIgnoredStatus(t *testing.T) {
	for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
		w := episodesOf(seed, 300, 150*ms)
		claim := Breaker{Link: "payments", Route: "pay", Ignores: []int{404}}
		if v := claim.Judge(w.play()); v.Ruling != Held {
			t.Errorf("seed %d: sound: %s: %s", seed, v.Ruling, v.Reason)
		}
		w.breaker.open, w.breaker.statuses = 50*ms, []int{404}
		if v := claim.Judge(w.play()); v.Ruling == Held {
			t.Errorf("seed %d: held: %s", seed, v.Reason)
		}
	}
}
