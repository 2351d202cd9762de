package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// overRun is 30 s at 100/s with a fault from 12 s to 14 s, after which calls go on
// failing for 3 s; each bad request fails and takes 200 ms, others 5 ms.
func overRun(bad func(due time.Duration) bool) *evidence.Run {
	run := &evidence.Run{Routes: []string{"pay"}, Load: 30 * time.Second, End: 30 * time.Second, Links: map[string]*evidence.Link{},
		Faults: []evidence.Injection{{Kind: "errors", On: "bank", Injected: 12 * time.Second, Healed: 14 * time.Second}}}
	for i := range 3000 {
		due := time.Duration(i) * 10 * time.Millisecond
		s := load.Sample{ID: uint64(i + 1), Intended: due, Sent: due, Done: due + 5*time.Millisecond, Status: 200}
		if bad(due) {
			s.Status, s.Outcome, s.Done = 503, load.ServerError, due+200*time.Millisecond
		}
		run.Samples = append(run.Samples, s)
	}
	for i := range 30 {
		run.Ticks = append(run.Ticks, evidence.Tick{At: time.Duration(i+1) * time.Second, Ended: 100, Offered: 100, Cores: 4})
	}
	return run
}

// A bound over stretches is to hold in the worst of them, and what is declared falsely,
// by however little, is never held.
func TestSteadyOverStretches(t *testing.T) {
	within := func(from, to time.Duration) func(time.Duration) bool {
		return func(due time.Duration) bool { return from <= due && due < to }
	}
	never := func(time.Duration) bool { return false }
	const s = time.Second
	for _, c := range []struct {
		name   string
		bad    func(time.Duration) bool
		claim  Steady
		want   Ruling
		reason string
	}{
		{"sound", never, Steady{Success: 1, P99: 20 * time.Millisecond, Over: 10 * s}, Held, "1000 of 1000"},
		{"the fault counts", within(12*s, 14*s), Steady{Success: 0.9, Over: 10 * s}, Refuted, "only 800 of 1000 requests succeeded (80%) from 10.0 s to 20.0 s"},
		{"as much as it was", within(12*s, 14*s), Steady{Success: 0.8, Over: 10 * s}, Held, "800 of 1000"},
		{"over all of it the same is less", within(12*s, 14*s), Steady{Success: 0.93, Over: 30 * s}, Held, "2800 of 3000"},
		{"outside it and its 10 s all is well", within(12*s, 17*s), Steady{Success: 1, P99: 20 * time.Millisecond, Over: 10 * s, OutsideFaults: true}, Held, ""},
		{"one that fails outside it is found", within(25*s, 25*s+1), Steady{Success: 1, Over: 10 * s, OutsideFaults: true}, Refuted, "from 20.0 s"},
		{"one slow second may be the host's", within(5*s, 6*s), Steady{P99: 150 * time.Millisecond, Over: 10 * s}, Inconclusive, "p99 is"},
		{"slow ones in four of ten are found", within(5*s, 9*s), Steady{P99: 150 * time.Millisecond, Over: 10 * s}, Refuted, "p99 is"},
		{"longer than there was", never, Steady{Success: 1, Over: 40 * s}, Inconclusive, "it takes 40"},
		{"all of it within faults", never, Steady{Success: 1, Over: 2 * s, OutsideFaults: true}, Held, "faults left only 0 requests"},
	} {
		got := c.claim.Judge(overRun(c.bad))
		if got.Ruling != c.want || !strings.Contains(got.Reason, c.reason) {
			t.Errorf("%s: %s: %s", c.name, got.Ruling, got.Reason)
		}
		if !strings.Contains(got.Claim, "over each") {
			t.Errorf("%s: %q", c.name, got.Claim)
		}
	}
}
