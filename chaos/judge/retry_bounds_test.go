package judge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// steady5 is a system of which all calls fail for two seconds, and which makes
// five attempts at most.
func steady5() simulation {
	s := retrying()
	s.rate, s.attempts = 300, 5
	s.faults = []simFault{{kind: "errors", at: 2 * time.Second, span: 3 * time.Second, statuses: []int{503}}}
	s.wait = doubling(100*ms, 0.5)
	return s
}

// boundsTold are bounds that a system keeps or does not, by how it was made.
func boundsTold() []struct {
	name   string
	system simulation
	claim  Retry
	lie    bool
} {
	type told = struct {
		name   string
		system simulation
		claim  Retry
		lie    bool
	}
	var all []told
	add := func(name string, change func(*simulation), claim Retry, lie bool) {
		s := steady5()
		change(&s)
		claim.Link = Links{"payments"}
		all = append(all, told{name, s, claim, lie})
	}
	as := func(*simulation) {}
	for _, n := range []int{2, 3, 4, 5, 6, 7, 10} {
		add(fmt.Sprintf("at most %d of 5", n), as, Retry{Attempts: n}, n < 5)
		add(fmt.Sprintf("at least %d of 5", n), as, Retry{AtLeast: n}, n > 5)
	}
	for _, share := range []float64{0.1, 0.16, 0.18, 0.2, 0.22, 0.25, 0.4} {
		add(fmt.Sprintf("budget %v of 0.2",
			share), func(s *simulation) { s.budget, s.routes = 0.2, s.routes[:1] }, Retry{Budget: unit.Share(share)}, share < 0.2)
	}
	few := func(s *simulation) { s.budget, s.faults[0].share = 0.2, 0.05 } // of which 5% fail, and are all retried
	add("a budget that was not needed", few, Retry{Budget: 0.1}, true)
	// 1 + 1 + 1 + 1 + 1 of all that are sent early enough; no more than 4.2 of all.
	for _, times := range []float64{1.5, 2, 2.5, 5} {
		add(fmt.Sprintf("amplification %v", times), as, Retry{Amplification: times}, times < 3)
	}
	// 50 attempts, of which five fit into the second that callers wait: no bound of the system's.
	patience := func(s *simulation) { s.attempts, s.deadline = 50, time.Second }
	for _, n := range []int{3, 4, 5, 6, 10, 49} {
		add(fmt.Sprintf("at most %d of 50, but callers leave", n), patience, Retry{Attempts: n}, true)
	}
	impatient := func(s *simulation) { s.deadline = 400 * ms }
	add("callers leave", impatient, Retry{Deadline: true}, false)
	add("callers leave in vain", func(s *simulation) { impatient(s); s.deaf = true }, Retry{Deadline: true}, true)
	add("nobody leaves in vain", func(s *simulation) { s.deaf = true }, Retry{Deadline: true}, true)
	add("one key", as, Retry{SameKey: true}, false)
	add("a key for each attempt", func(s *simulation) { s.rekey = true }, Retry{SameKey: true}, true)
	add("a key for each attempt, allowed", func(s *simulation) { s.rekey = true }, Retry{SameKey: true, Unkeyed: true}, true)
	add("a body for each attempt", func(s *simulation) { s.changes = true }, Retry{SameKey: true}, true)
	add("nothing is keyed", func(s *simulation) { s.routes = s.routes[:1] }, Retry{SameKey: true}, true)
	add("on less than there is", as, Retry{On: []int{429}}, true)
	add("never what is", as, Retry{On: []int{429}, Never: []int{503}}, true)
	return all
}

// TestNoFalseBoundHolds: what is false is never held, quiet or busy. What is
// true is held on a quiet host, and never refuted on another.
func TestNoFalseBoundHolds(t *testing.T) {
	for _, b := range boundsTold() {
		for host, suffers := range machines {
			t.Run(b.name+"/"+host, func(t *testing.T) {
				t.Parallel()
				held := uint64(0)
				for seed := uint64(1); seed <= *lieSeeds; seed++ {
					s := b.system
					suffers(&s)
					s.seed = seed
					v := b.claim.Judge(s.run())
					if v.Ruling == Held {
						held++
					}
					if b.lie && v.Ruling == Held || !b.lie && v.Ruling == Refuted {
						t.Errorf("seed %d: %s: %s", seed, v.Ruling, v.Reason)
					} else if v.Ruling != Held && !b.lie && host == "quiet" {
						t.Logf("seed %d: %s: %s", seed, v.Ruling, v.Reason)
					}
				}
				if !b.lie && host == "quiet" && 100*(*lieSeeds-held) > 2**lieSeeds {
					t.Errorf("held in %d of %d runs", held, *lieSeeds)
				}
			})
		}
	}
}

// A bound that is kept by far says so, and what is told does not depend on it.
func TestBoundThatIsFarSaysSo(t *testing.T) {
	s := steady5()
	s.seed = 1
	run := s.run()
	for _, n := range []int{5, 10} {
		v := Retry{Link: Links{"payments"}, Attempts: n}.Judge(run)
		p := partNamed(v, "attempts")
		if said := strings.HasSuffix(p.Reason, "(at most 10 claimed)"); p.Ruling != Held || *p.Seen != exactly(5) || said != (n == 10) {
			t.Errorf("at most %d: %s of %v: %s", n, p.Ruling, p.Seen, p.Reason)
		}
	}
}

// partNamed is the first part of that name.
func partNamed(v Verdict, name string) Part {
	for _, p := range v.Parts {
		if p.Name == name {
			return p
		}
	}
	return Part{Ruling: Inconclusive}
}

// Counts do not depend on when a request was due: a load that was late leaves
// them as they are.
func TestLateLoadDoesNotBearOnRetries(t *testing.T) {
	for name, c := range map[string]struct {
		system simulation
		claim  Claim
	}{
		"retry":   {retrying(), retryClaim()},
		"backoff": {backingOff(), Backoff{Link: "payments", Base: 100 * ms, Jitter: 0.5}},
	} {
		c.system.seed = 1
		run := c.system.run()
		for i := range run.Ticks {
			run.Ticks[i].LateP99 = evidence.Seconds(300 * ms)
		}
		if v := c.claim.Judge(run); v.Ruling != Held {
			t.Errorf("%s of a load that was late: %s: %s", name, v.Ruling, v.Reason)
		}
	}
}

// TestOnePostInAHundredThousand: one call that had its effect twice is found.
func TestOnePostInAHundredThousand(t *testing.T) {
	const calls = 100_000
	run := &evidence.Run{End: 110 * time.Second, Routes: []string{"pay"}}
	run.Faults = []evidence.Injection{{Kind: "errors", On: "payments", Injected: 5 * time.Second, Healed: 105 * time.Second}}
	link := &evidence.Link{Name: "payments"}
	sent := func(id uint64, at time.Duration, method string, status int) evidence.Exchange {
		return evidence.Exchange{ID: id, Conn: id % 50, Begin: at, End: at + ms/10, Method: method, Path: "/", Status: status}
	}
	add := func(id uint64, at time.Duration, method string, status int) {
		link.Exchanges = append(link.Exchanges, sent(id, at, method, status))
	}
	for id := uint64(1); id <= calls; id++ {
		at := time.Duration(id) * ms
		run.Samples = append(run.Samples, load.Sample{ID: id, Intended: at, Sent: at, Done: at + ms/2, Status: 503, Outcome: load.ServerError})
		switch {
		case at < 5*time.Second:
			add(id, at, "GET", 200)
		case id%100 == 0: // retried, as it may be
			add(id, at, "GET", 503)
			add(id, at+3*ms/10, "GET", 200)
		default:
			add(id, at, "POST", 503)
		}
	}
	run.Links = map[string]*evidence.Link{"payments": link}
	claim := Retry{Link: Links{"payments"}}
	if v := claim.Judge(run); v.Ruling != Held {
		t.Fatalf("sound: %s: %s", v.Ruling, v.Reason)
	}
	at := 77777 * ms
	again := sent(77777, at+ms/5, "POST", 503)
	for i, x := range link.Exchanges {
		if x.Begin > again.Begin {
			link.Exchanges = append(link.Exchanges[:i], append([]evidence.Exchange{again}, link.Exchanges[i:]...)...)
			break
		}
	}
	if v := claim.Judge(run); v.Ruling != Refuted || len(v.IDs) != 1 || v.IDs[0] != 77777 {
		t.Errorf("one of %d was repeated: %s of %v: %s", calls, v.Ruling, v.IDs, v.Reason)
	}
}
