package judge

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// evenly makes a sample every ms for a second on route 0, each answered after
// 4 ms; bad of them, spread evenly, with 503, and slow of them after 80 ms.
func evenly(bad, slow int) []load.Sample {
	var all []load.Sample
	for i := range 1000 {
		at := time.Duration(i) * ms
		s := load.Sample{ID: uint64(i + 1), Intended: at, Sent: at, Done: at + 4*ms, Status: 200}
		if bad > 0 && i%(1000/bad) == 0 {
			s.Status, s.Outcome = 503, load.ServerError
		}
		if slow > 0 && i%(1000/slow) == 1 {
			s.Done = at + 80*ms
		}
		all = append(all, s)
	}
	return all
}

func TestSteady(t *testing.T) {
	later := fault(0, "errors", time.Second, time.Second, 503)
	planned := later
	planned.Injected, planned.Healed = -1, -1
	cases := []struct {
		name      string
		claim     Steady
		bad, slow int
		faults    []evidence.Injection
		hiccup    time.Duration
		lag       time.Duration
		want      Ruling
		reason    string
	}{
		{"well", Steady{Route: "pay", Success: 0.999, P50: 5 * ms, P99: 50 * ms}, 0, 0, nil, 0, 0, Held, "1000 of 1000"},
		// The last three, due at 997, 998 and 999 ms, were still under way at 1 s.
		{"well before the fault", Steady{Success: 0.999, P99: 50 * ms}, 0, 0, []evidence.Injection{later}, 0, 0, Held, "997 of 997"},
		{"well, nothing injected yet", Steady{Success: 0.999, P99: 50 * ms}, 0, 0, []evidence.Injection{planned}, 0, 0, Held, "997 of 997"},
		// 20 of 1000 failed: Wilson gives 98.0% − 1.1% + 0.7% = 96.9% to 98.7%, below 99%.
		{"fails", Steady{Success: 0.99}, 20, 0, nil, 0, 0, Refuted, "980 of 1000"},
		{"fails before the fault", Steady{Success: 0.99}, 20, 0, []evidence.Injection{planned}, 0, 0, Inconclusive, "not in its steady state"},
		{"one too many fails", Steady{Success: 0.999}, 2, 0, nil, 0, 0, Refuted, "998 of 1000"},
		{"as many fail as may", Steady{Success: 0.999}, 1, 0, nil, 0, 0, Held, "999 of 1000"},
		{"slow", Steady{P99: 50 * ms}, 0, 20, nil, 0, 0, Refuted, "p99 is 80 ms"},
		{"slow within the noise", Steady{P99: 50 * ms}, 0, 20, nil, 40 * ms, 0, Inconclusive, "40 ms of noise"},
		{"slow in the median", Steady{P50: 2 * ms, P99: 50 * ms}, 0, 0, nil, 0, 0, Inconclusive, "p50 is 4.0 ms"}, // 4 ms is over 2 ms by less than 10 ms
		{"sent late by the harness", Steady{P99: 50 * ms}, 0, 0, nil, 0, 70 * ms, Inconclusive, "sending late"},
		{"claims nothing", Steady{}, 0, 0, nil, 0, 0, Inconclusive, "claims nothing"},
		{"no such route", Steady{Route: "buy", P99: 50 * ms}, 0, 0, nil, 0, 0, Inconclusive, "no route \"buy\""},
		{"nothing came", Steady{Route: "browse", P99: 50 * ms}, 0, 0, nil, 0, 0, Inconclusive, "0 requests"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			run := &evidence.Run{End: time.Second, Routes: []string{"pay", "browse"}, Samples: evenly(c.bad, c.slow), Faults: c.faults,
				Ticks: []evidence.Tick{{At: time.Second, HiccupMax: evidence.Seconds(c.hiccup), LateP99: evidence.Seconds(c.lag)}}}
			for i := range run.Samples {
				run.Samples[i].Sent += c.lag
				run.Samples[i].Done += c.lag
			}
			v := c.claim.Judge(run)
			if v.Ruling != c.want || !strings.Contains(v.Reason, c.reason) {
				t.Errorf("%s: %s, want %s: %s", v.Ruling, v.Reason, c.want, c.reason)
			}
			if v.Ruling == Refuted && len(v.IDs) == 0 {
				t.Error("refuted without an id")
			}
		})
	}
}

// Arrivals that no connection was free for, and that were not let wait, are no
// fast responses; those that waited in vain for longer than the bound are slow.
func TestSteadyTimesOfWhatWasNotSent(t *testing.T) {
	for _, c := range []struct {
		name   string
		every  int           // one in so many is unsent
		waited time.Duration // by those
		from   int           // of the rest, those from here on are slow
		p50    time.Duration
		want   Ruling
		reason string
	}{
		{"most are skipped, the rest is slow", 4, 0, 0, 20 * ms, Refuted, "p50 is at least 70 ms"},
		{"one in 4 waits in vain", 4, 500 * ms, 1000, 20 * ms, Held, "p50 is 4.0 ms"},
		{"nothing is sent", 1, 0, 0, 20 * ms, Inconclusive, "none of 1000 arrivals was sent"},
	} {
		all := evenly(0, 0)
		for i := range all {
			s := &all[i]
			if unsent := i%c.every != 0 || c.every == 1; unsent == (c.waited == 0) {
				*s = load.Sample{ID: s.ID, Intended: s.Intended, Done: s.Intended + c.waited, Outcome: load.Unsent}
			} else if i >= c.from {
				s.Done = s.Sent + 80*ms
			}
		}
		run := &evidence.Run{End: 2 * time.Second, Routes: []string{"pay"}, Samples: all, Ticks: []evidence.Tick{{At: time.Second}}}
		v := Steady{P50: c.p50}.Judge(run)
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.reason) {
			t.Errorf("%s: %s: %s, want %s: %s", c.name, v.Ruling, v.Reason, c.want, c.reason)
		}
	}
}

// Ready looks at what was due so far only.
func TestSteadyReady(t *testing.T) {
	run := &evidence.Run{End: time.Second, Routes: []string{"pay"}, Samples: evenly(0, 0), Faults: []evidence.Injection{fault(0, "reset", 500*ms, time.Second)}}
	for i := 500; i < 1000; i++ {
		run.Samples[i].Outcome, run.Samples[i].Status = load.ServerError, 503
	}
	claim := Steady{Success: 0.99}
	if v := claim.Ready(run, 500*ms); v.Ruling != Held {
		t.Errorf("before the fault: %s: %s", v.Ruling, v.Reason)
	}
	if v := claim.Ready(run, time.Second); v.Ruling != Inconclusive {
		t.Errorf("with half of it failing: %s: %s", v.Ruling, v.Reason)
	}
	if v := claim.Ready(run, 29*ms); v.Ruling != Inconclusive {
		t.Errorf("on 29 requests: %s: %s", v.Ruling, v.Reason)
	}
}

// What a fault did to calls that were under way when it was injected is not the
// steady state's; what they had waited by then is.
func TestSteadyStopsItsClockAtTheFault(t *testing.T) {
	run := &evidence.Run{End: 2 * time.Second, Routes: []string{"pay"}, Samples: evenly(0, 0), Faults: []evidence.Injection{fault(0, "partition", time.Second, time.Second)}}
	claim := Steady{Success: 1, P99: 50 * ms}
	for i := 980; i < 1000; i++ { // due in the last 20 ms, hung for a second, failed
		run.Samples[i].Done += time.Second
		run.Samples[i].Status, run.Samples[i].Outcome = 504, load.ServerError
	}
	if v := claim.Judge(run); v.Ruling != Held {
		t.Errorf("hung with the fault: %s: %s", v.Ruling, v.Reason)
	}
	for i := 700; i < 980; i++ { // hung since 700 ms, long before the fault
		run.Samples[i].Done += time.Second
	}
	if v := claim.Judge(run); v.Ruling != Inconclusive || !strings.Contains(v.Reason, "p99 is 29") {
		t.Errorf("hung before the fault: %s: %s", v.Ruling, v.Reason)
	}
}

// Whatever is in the records, no claim panics, none holds on nothing, and the
// same records give the same verdict.
func TestOddEvidenceOfStates(t *testing.T) {
	claims := []Claim{
		Steady{}, Steady{Route: "pay", Success: 0.99, P50: ms, P99: 50 * ms},
		Breaker{Link: "payments"}, protects, Breaker{Link: "payments", Waits: time.Millisecond, Failures: 1, Ignores: []int{503, 404}},
		Timeout{Link: "payments"}, Timeout{Link: "payments", Route: "pay", Within: 300 * ms},
		Recovery{}, Recovery{Route: "pay", Within: time.Second, Goodput: 1, For: time.Hour},
		SLO{}, SLO{Route: "pay", Success: 0.99}, SLO{Success: 0.999999},
	}
	runs := []*evidence.Run{
		{},
		{Partial: true, Lost: map[string]uint64{"front.csv": 3}},
		{End: time.Second, Routes: []string{"pay"}, Links: map[string]*evidence.Link{"payments": nil}},
		{End: time.Second, Routes: []string{"pay"}, Links: map[string]*evidence.Link{"payments": {Name: "payments"}}, Faults: []evidence.Injection{fault(0, "reset", 0, -5)}},
	}
	empty := len(runs)
	for seed := range uint64(300) {
		runs = append(runs, oddRun(rand.New(rand.NewPCG(seed, 7))))
	}
	for i, run := range runs {
		for _, c := range claims {
			v := c.Judge(run)
			if v.Reason == "" || len(v.IDs) > MaxIDs || i < empty && v.Ruling != Inconclusive {
				t.Fatalf("run %d, %s: %s: %q, %d ids", i, c, v.Ruling, v.Reason, len(v.IDs))
			}
			for _, n := range v.Numbers {
				if math.IsNaN(n.Value) || math.IsInf(n.Value, 0) {
					t.Fatalf("run %d, %s: %s is %v: no JSON can hold that", i, c, n.Name, n.Value)
				}
			}
			if again := c.Judge(run); !cmp.Equal(v, again) {
				t.Fatalf("run %d, %s: judged twice:\n%s", i, c, cmp.Diff(v, again))
			}
		}
	}
}
