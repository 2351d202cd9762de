package judge

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// turns matches a clause that says what to turn.
var turns = regexp.MustCompile(`(?:^|: |; |\. |, so |, and )(?:add|give|grant|inject|let|look|name|offer|raise|say|send|start|use|[Gg]ive|Offer|Let|Use)\b` +
	`|\bwould (?:tell|show)|must pass on|name a route`)

// Every part that is left open says what would settle it, whatever the run was: sound,
// false, on a busy host, cut, without faults, load or ids, or not to be made sense of.
func TestWhatIsOpenNamesTheNextStep(t *testing.T) {
	seen := map[string]bool{}
	look := func(c Claim, run *evidence.Run) {
		v := c.Judge(run)
		if v.Void != "" {
			return // it is the run's, and the harness says what it was
		}
		for _, p := range v.Parts {
			if p.Ruling != Inconclusive || p.Note {
				continue
			}
			seen[v.Kind+" "+p.Name] = true
			if !turns.MatchString(p.Reason) {
				t.Errorf("%s, %s names no next step: %s", v.Kind, p.Name, p.Reason)
			}
		}
	}
	all := func(run *evidence.Run) {
		for _, c := range openClaims() {
			look(c, run)
		}
	}
	for i, d := range falseNumbers() {
		run := d.run(1, true)
		if look(d.claim, run); i%10 == 0 {
			all(run)
		}
	}
	for _, host := range []string{"quiet", "crowded"} {
		for _, b := range backoffs() {
			s := b.system
			machines[host](&s)
			run := s.run()
			look(b.claim, run)
			for _, lie := range b.claim.lies([]float64{0.9, 1.1}) {
				look(lie, run)
			}
		}
	}
	for _, host := range hosts[1:2] {
		w := episodesOf(1, 100, 150*ms)
		w.stalls, w.stall = host.stalls, host.stall
		all(w.play())
		for _, change := range []func(*world){
			func(w *world) { w.faults = nil }, func(w *world) { w.ids = false }, func(w *world) { w.cut = 5 * time.Second },
			func(w *world) { w.rate = 3 }, func(w *world) { w.breaker.none = true }, func(w *world) { w.breaker.silent = true },
			func(w *world) { w.breaker.instances = 3 }, func(w *world) { w.faults = w.faults[:1] }, func(w *world) { w.cached = 0.95 },
			func(w *world) { w.breaker.retries = 2 }, func(w *world) { w.total = 6 * time.Second }, func(w *world) { w.faults[2].Healed = -1 },
			func(w *world) { w.backlog = true }, func(w *world) { w.wait = 50 * ms },
		} {
			w := episodesOf(1, 100, 150*ms)
			w.stalls, w.stall = host.stalls, host.stall
			change(&w)
			all(w.play())
		}
	}
	for _, change := range []func(*simulation){
		func(*simulation) {}, func(s *simulation) { s.anonymous = true }, func(s *simulation) { s.calls = 2 }, func(s *simulation) { s.attempts = 1 },
		func(s *simulation) { s.faults = nil }, func(s *simulation) { s.rate = 3 }, func(s *simulation) { s.faults = s.faults[:1] },
		func(s *simulation) { s.faults[0].share = 0.02 }, func(s *simulation) { s.eager = true },
	} {
		for _, system := range []simulation{retrying(), backingOff(), bulkheaded(), steady5()} {
			change(&system)
			all(system.run())
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 30 {
		all(oddRun(rng))
	}
	var names []string
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	t.Logf("left open were %s", strings.Join(names, ", "))
	if len(names) < 30 {
		t.Errorf("only %d different parts were left open, so that this shows little", len(names))
	}
}

// openClaims are claims with every key.
func openClaims() []Claim {
	breaker := Breaker{Link: "payments", Route: "pay", Failures: 5, OpensWithin: time.Second, Waits: 2 * time.Second, Probes: 1,
		RejectsWithin: 20 * ms, ClosesWithin: 3 * time.Second, Ignores: []int{404, 499}}
	cumulative, several, rated, none := breaker, breaker, breaker, breaker
	cumulative.Probing = "cumulative"
	several.Instances = 3
	rated.FailureRate, rated.Window, rated.Minimum = 0.5, 10*time.Second, 20
	none.Link = "nowhere"
	return []Claim{
		breaker, cumulative, several, rated, none, Breaker{Link: "payments", Route: "nobody"}, Breaker{Link: "payments", Route: "pay"},
		Retry{Link: Links{"payments"}, Attempts: 3, AtLeast: 2, Never: []int{400, 499}, SameKey: true, Amplification: 2, Budget: 0.1, Deadline: true},
		Retry{Link: Links{"payments"}, Attempts: 1}, Retry{Link: Links{"nowhere"}}, Retry{Link: Links{"payments"}, Route: "nobody"},
		Backoff{Link: "payments", Base: 50 * ms, Jitter: 0.5, Cap: 200 * ms, RetryAfter: true, Herd: 0.2}, Backoff{Link: "nowhere", Base: ms},
		Backoff{Link: "payments", Base: 50 * ms, Law: "decorrelated", Cap: time.Second}, Backoff{Link: "payments", Base: 50 * ms, Law: "linear"},
		Backoff{Link: "payments", Base: 50 * ms, Route: "nobody"}, Backoff{Link: "payments", Base: 50 * ms, Law: "constant", Noise: 20 * ms},
		Bulkhead{Link: "payments", Route: "pay", Limit: 20, Unaffected: []string{"browse"}, RejectsWithin: 20 * ms, FreedWithin: time.Second},
		Bulkhead{Link: "nowhere", Limit: 1}, Bulkhead{Link: "payments", Route: "nobody", Limit: 1},
		Timeout{Link: "payments", Route: "pay", Within: 400 * ms}, Timeout{Link: "nowhere", Route: "pay", Within: ms},
		Steady{Route: "pay", Success: 0.999, P50: ms, P99: 5 * ms}, Steady{Route: "nobody", P99: ms}, Steady{},
		Recovery{Route: "pay", Within: time.Second}, Recovery{Route: "nobody", Within: time.Second}, Recovery{Within: time.Second, For: 10 * time.Second},
		SLO{Route: "pay", Success: 0.999}, SLO{Success: 0.9}, SLO{Route: "nobody", Success: 0.9}, SLO{},
	}
}
