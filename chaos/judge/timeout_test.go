package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// hung is a system without a breaker but with a timeout of 400 ms, whose
// dependency hangs for three seconds.
func hung(seed uint64) world {
	return world{seed: seed, rate: 150 + float64(seed*37%300), poisson: seed%2 == 0, total: 7 * time.Second, ids: true, service: 5 * ms, spread: 1,
		timeout: 400 * ms, wait: 2 * time.Second, breaker: breakerModel{none: true},
		faults: []evidence.Injection{fault(0, "partition", 2*time.Second, 3*time.Second)}}
}

func TestTimeout(t *testing.T) {
	claim := Timeout{Link: "payments", Route: "pay", Within: 500 * ms}
	cases := []struct {
		name   string
		change func(*world)
		claim  func(*Timeout)
		want   Ruling
		reason string
	}{
		{"sound", nil, nil, Held, "calls hung"},
		{"sound by rate", func(w *world) { w.ids = false }, nil, Held, "by their time only"},
		{"sound on an ordinary host", func(w *world) { w.stalls, w.stall = 7, 25*ms }, nil, Held, "calls hung"},
		{"sound with a breaker", func(w *world) { w.breaker = breakerModel{failures: 5, open: 500 * ms, probes: 1} }, nil, Held, "calls hung"},
		{"sound on latency", func(w *world) {
			w.faults = []evidence.Injection{fault(0, "latency", 2*time.Second, 3*time.Second)}
			w.faults[0].Delay = evidence.Seconds(800 * ms)
			w.late = map[int]time.Duration{0: 800 * ms}
		}, nil, Held, "calls hung"},
		{"sound on a hang", func(w *world) { w.faults[0].Kind = "hang" }, nil, Held, "calls hung"},
		{"sound on responses that are dropped", func(w *world) { w.faults[0].Kind = "drop_response" }, nil, Held, "calls hung"},
		{"responses that are dropped with a reset do not hang", func(w *world) { w.faults[0].Kind, w.faults[0].Ends = "drop_response", true }, nil, Inconclusive, "hardly ever hung"},
		{"it may have come back by itself", func(w *world) { w.faults[0].Kind, w.faults[0].Cycle = "hang", true }, nil, Inconclusive, "hardly ever hung"},
		{"none", func(w *world) { w.timeout = 0 }, nil, Refuted, "waited longer than 500 ms"},
		{"none, by rate", func(w *world) { w.timeout, w.ids = 0, false }, nil, Refuted, "waited longer than 500 ms"},
		{"none, on a busy host", func(w *world) { w.timeout, w.stalls, w.stall = 0, 40, 80*ms }, nil, Refuted, "waited longer than 500 ms"},
		{"too long", func(w *world) { w.timeout = 700 * ms }, nil, Refuted, "waited longer than 500 ms"},
		{"too long within the noise", func(w *world) {
			w.timeout = 501 * ms
		}, nil, Inconclusive, "10 ms of noise"},
		{"the load gives up first", func(w *world) { w.timeout, w.wait = 0, 300*ms }, nil, Inconclusive, "longer timeout"},
		{"hangs too shortly", func(w *world) { w.faults[0].Healed = 2*time.Second + 300*ms }, nil, Inconclusive, "hardly ever hung"},
		{"latency below the bound", func(w *world) {
			w.faults = []evidence.Injection{fault(0, "latency", 2*time.Second, 3*time.Second)}
			w.faults[0].Delay = evidence.Seconds(100 * ms)
			w.late = map[int]time.Duration{0: 100 * ms}
		}, nil, Inconclusive, "hardly ever hung"},
		{"no timeout, and latency that grows and is healed before any call has waited that long", func(w *world) {
			w.timeout = 0
			w.faults = []evidence.Injection{fault(0, "latency", 2*time.Second, 3*time.Second)}
			w.faults[0].Delay, w.faults[0].Ramp = evidence.Seconds(600*ms), evidence.Seconds(3*time.Second)
			w.late = map[int]time.Duration{0: 450 * ms}
		}, nil, Inconclusive, "hardly ever hung"},
		{"errors do not hang", func(w *world) { w.faults = []evidence.Injection{fault(0, "errors", 2*time.Second, 3*time.Second, 503)} }, nil, Inconclusive, "hardly ever hung"},
		{"no fault", func(w *world) { w.faults = nil }, nil, Inconclusive, "nothing hung"},
		{"killed before the fault", func(w *world) { w.cut = 1900 * ms }, nil, Inconclusive, "nothing hung"},
		{"no such link", nil, func(c *Timeout) { c.Link = "stock" }, Inconclusive, "no link \"stock\""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= uint64(*modelSeeds); seed++ {
				w, claim := hung(seed), claim
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

// On a host that had no core to spare for seconds, callers of a timeout of 300 ms
// were answered after 1.2 s, and the harness was late by as much. That is not the
// system's doing.
func TestTimeoutOnAHostThatIsBehind(t *testing.T) {
	for pressure, want := range map[float64]Ruling{0.2: Refuted, 1: Inconclusive} {
		w := hung(1)
		w.timeout = 1100 * ms
		run := w.play()
		for i := range run.Ticks {
			run.Ticks[i].Pressure = pressure
		}
		if v := (Timeout{Link: "payments", Route: "pay", Within: 500 * ms}).Judge(run); v.Ruling != want {
			t.Errorf("at a pressure of %v it is %s, want %s: %s", pressure, v.Ruling, want, v.Reason)
		}
	}
}

// With so many threads for each core that any time may be the host's, nothing is
// said of times; what counts alone is ruled on.
func TestNothingOfTimesOnASwampedMachine(t *testing.T) {
	for _, row := range []struct {
		runnable int
		ticks    int
		want     Ruling
	}{{8, 8, Inconclusive}, {7, 8, Refuted}, {20, 3, Inconclusive}, {20, 2, Refuted}} {
		w := hung(1)
		w.timeout = 8 * time.Second
		run := w.play()
		for i := 2; i < 2+row.ticks && i < len(run.Ticks); i++ {
			run.Ticks[i].Pressure, run.Ticks[i].Runnable, run.Ticks[i].Cores = 1, row.runnable, 2
		}
		v := (Timeout{Link: "payments", Route: "pay", Within: 500 * ms}).Judge(run)
		if v.Ruling != row.want || row.want == Inconclusive && !strings.Contains(v.Reason, "swamped") {
			t.Errorf("%d threads in %d seconds: %s, want %s: %s", row.runnable, row.ticks, v.Ruling, row.want, v.Reason)
		}
	}
}
