package judge

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// More runs cost only time: go test -run SLOCovers -slo-runs 10000 ./chaos/judge
var sloRuns = flag.Int("slo-runs", 300, "how many simulated runs of each kind an objective's bounds are compared with the truth of")

// objective is a run of so many requests, one each ms; what becomes of the i-th is
// said by of, nil is well.
func objective(n int, of func(i int, s *load.Sample)) *evidence.Run {
	run := &evidence.Run{Routes: []string{"pay"}, End: time.Duration(n) * ms}
	for i := range n {
		at := time.Duration(i) * ms
		s := load.Sample{ID: uint64(i + 1), Intended: at, Sent: at, Done: at + ms/2, Status: 200}
		if of != nil {
			of(i, &s)
		}
		run.Samples = append(run.Samples, s)
	}
	for at := time.Second; at < run.End+time.Second; at += time.Second {
		run.Ticks = append(run.Ticks, evidence.Tick{At: at})
	}
	return run
}

// failsAt fails the requests of those numbers.
func failsAt(list ...int) func(int, *load.Sample) {
	return func(i int, s *load.Sample) {
		for _, at := range list {
			if i == at {
				s.Status, s.Outcome = 503, load.ServerError
			}
		}
	}
}

func TestSLO(t *testing.T) {
	outage := func(from, to int) func(int, *load.Sample) {
		return func(i int, s *load.Sample) {
			if i >= from && i < to {
				s.Status, s.Outcome = 503, load.ServerError
			}
		}
	}
	for _, c := range []struct {
		name    string
		n       int
		of      func(int, *load.Sample)
		success unit.Share
		want    Ruling
		says    string
	}{
		// ln 0.05 / ln 0.9999 = 29,955.8
		{"one too few", 29_955, nil, 0.9999, Inconclusive, "1 more that succeeds would tell"},
		{"as many as it takes", 29_956, nil, 0.9999, Held, "none of 29956 requests failed"},
		// The requests that it takes with 1, 2 and 5 failures, of the tables of Clopper and Pearson.
		{"one failed", 47_437, failsAt(7), 0.9999, Held, "1 of 47437"},
		{"one failed, and one too few", 47_436, failsAt(7), 0.9999, Inconclusive, "1 more"},
		{"two failed, far from each other", 62_956, failsAt(7000, 40_000), 0.9999, Held, "2 of 62956"},
		{"two failed, and one too few", 62_955, failsAt(7000, 40_000), 0.9999, Inconclusive, "1 more"},
		{"one in 100,000, of five nines", 100_000, failsAt(7), 0.99999, Inconclusive, "1 of 100000"},
		{"far too many", 30_000, func(i int, s *load.Sample) {
			if i%100 == 0 {
				s.Status, s.Outcome = 503, load.ServerError
			}
		}, 0.9999, Refuted, "300 of 30000 requests failed"},
		{"a bit too many to tell", 29_956, failsAt(1, 9000, 18_000, 26_000), 0.9999, Inconclusive, "if as many of them fail, would tell"},
		// 2 s of 60 are 3.3%, and nobody planned them: it may have been the only one in a year.
		{"one outage is one draw", 60_000, outage(20_000, 22_000), 0.99, Inconclusive, "design effect"},
		{"one outage, which nobody wonders about at 90%", 60_000, outage(20_000, 22_000), 0.5, Held, "in bursts"},
		{"nothing came", 0, nil, 0.99, Inconclusive, "no request was due"},
		{"all of them", 30_000, nil, 1, Inconclusive, "no number of requests shows 100%"},
	} {
		run := objective(c.n, c.of)
		v := SLO{Success: c.success}.Judge(run)
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %s, want %s with %q: %s", c.name, v.Ruling, c.want, c.says, v.Reason)
		}
		if v.Ruling == Refuted && len(v.IDs) == 0 {
			t.Errorf("%s: refuted without an id", c.name)
		}
	}
}

// An outage while a fault was in force is the plan's doing: that the system fails for as
// long is no chance, and the same again would come of the same plan.
func TestSLOKnowsFaultsFromChance(t *testing.T) {
	run := objective(60_000, func(i int, s *load.Sample) {
		if i >= 20_000 && i < 22_000 {
			s.Status, s.Outcome = 503, load.ServerError
		}
	})
	run.Faults = []evidence.Injection{fault(0, "errors", 20*time.Second, 2*time.Second, 503)}
	v := SLO{Success: 0.99}.Judge(run)
	if v.Ruling != Refuted {
		t.Errorf("2 s of 60 failed by a fault: %s: %s", v.Ruling, v.Reason)
	}
	// 2,000 of a budget of 1% of 1,000/s for 30 days: 25,920,000.
	for name, want := range map[string]float64{"budget_spent_pct": 100 * 2000 / 25.92e6, "budget_fault_0_pct": 100 * 2000 / 25.92e6} {
		if got := number(v, name); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if v := (SLO{Success: 0.9}).Judge(run); v.Ruling != Held {
		t.Errorf("3.3%% failed, 10%% may: %s: %s", v.Ruling, v.Reason)
	}
}

// number is a figure of a verdict; NaN if it has none of that name.
func number(v Verdict, name string) float64 {
	for _, n := range v.Numbers {
		if n.Name == name {
			return n.Value
		}
	}
	return math.NaN()
}

// What was not sent neither holds nor refutes, and seconds in which the harness was not
// well count neither way, whatever came of them. Both are told.
func TestSLOLeavesOutWhatTheHarnessDid(t *testing.T) {
	unsent := func(n int) func(int, *load.Sample) {
		return func(i int, s *load.Sample) {
			if i < n {
				s.Outcome, s.Status, s.Sent = load.Unsent, 0, 0
			}
		}
	}
	for _, c := range []struct {
		name   string
		n      int
		of     func(int, *load.Sample)
		unwell []int // seconds
		want   Ruling
		says   string
	}{
		{"one not sent", 29_956, unsent(1), nil, Inconclusive, "1 request was never sent: a failure to hold by, none to refute by"},
		{"one not sent, and enough others", 47_437, unsent(1), nil, Held, "1 request was never sent"},
		{"most not sent", 30_000, unsent(20_000), nil, Inconclusive, "20000 requests were never sent"},
		{"a second was unwell, and one too few are left", 30_955, nil, []int{5}, Inconclusive, "1000 requests were due or under way while the harness was not well"},
		{"a second was unwell, and enough are left", 30_956, nil, []int{5}, Held, "count neither way"},
		{"all failed in a second that was unwell", 31_000, func(i int, s *load.Sample) {
			if i >= 5000 && i < 6000 {
				s.Outcome, s.Status = load.TimedOut, 0
			}
		}, []int{5}, Held, "count neither way"},
		{"no second was well", 3000, nil, []int{0, 1, 2}, Inconclusive, "no request was due while the harness was well"},
	} {
		run := objective(c.n, c.of)
		for _, second := range c.unwell {
			run.Ticks[second].Pressure, run.Ticks[second].Cores = 0.95, 2
			run.Ticks[second].LateP99 = evidence.Seconds(time.Second)
		}
		v := SLO{Success: 0.9999}.Judge(run)
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %s, want %s with %q: %s", c.name, v.Ruling, c.want, c.says, v.Reason)
		}
		if v.Ruling == Held && len(c.unwell) > 0 && v.Despite == "" {
			t.Errorf("%s: it does not say why it stands", c.name)
		}
	}
	killed := objective(40_000, nil)
	killed.Partial, killed.Stopped = true, evidence.Killed
	if v := (SLO{Success: 0.999}).Judge(killed); v.Ruling != Inconclusive {
		t.Errorf("killed: %s: %s", v.Ruling, v.Reason)
	}
}

// A failing model says how the seconds of a system fail, and the share in the long run.
type failingModel struct {
	name    string
	seconds int
	rate    float64
	truth   float64
	share   func(rng *rand.Rand) func() float64 // of each second after the other
}

func failingModels() []failingModel {
	level := func(p float64) func(*rand.Rand) func() float64 {
		return func(*rand.Rand) func() float64 { return func() float64 { return p } }
	}
	// A system that goes bad with the chance in, and gets well again with the chance out,
	// in each second: it is bad for in/(in+out) of the time, for 1/out seconds at a time.
	spells := func(in, out, bad float64) func(*rand.Rand) func() float64 {
		return func(rng *rand.Rand) func() float64 {
			is := rng.Float64() < in/(in+out)
			return func() float64 {
				now := is
				if is {
					is = rng.Float64() >= out
				} else {
					is = rng.Float64() < in
				}
				if now {
					return bad
				}
				return 0
			}
		}
	}
	gamma := func(mean float64) func(*rand.Rand) func() float64 { // exponential: half as spread as it is large
		return func(rng *rand.Rand) func() float64 { return func() float64 { return min(1, mean*rng.ExpFloat64()) } }
	}
	return []failingModel{
		{"one by one", 60, 500, 0.002, level(0.002)},
		{"hardly any", 60, 500, 1e-4, level(1e-4)},
		{"many", 30, 500, 0.2, level(0.2)},
		{"seconds differ", 60, 500, 0.01, gamma(0.01)},
		{"outages of a second", 240, 200, 1. / 21, spells(1./20, 1, 1)},
		{"outages of three seconds", 360, 200, 0.1 / (0.1 + 1), spells(1./30, 1./3, 1)},
		{"half of it fails for three seconds", 360, 200, 0.5 * 0.1 / 1.1, spells(1./30, 1./3, 0.5)},
	}
}

// The bounds have the truth between them as often as they are said to, on either side,
// also where failures come in bursts, if some came. Of one that did not come no run knows.
func TestSLOCovers(t *testing.T) {
	for _, m := range failingModels() {
		over, under, widths := 0, 0, 0.0
		for seed := range *sloRuns {
			rng := rand.New(rand.NewPCG(uint64(seed), 18))
			s, share := service{strata: 1}, m.share(rng)
			for second := range m.seconds {
				x, p := tried{second: second}, share()
				for range int(m.rate) {
					x.n++
					if rng.Float64() < p {
						x.failed++
					}
				}
				s.tried = append(s.tried, x)
			}
			d := s.draws(func(x tried) float64 { return x.failed }, 0.95)
			if d.failsAtMost(0.95) < m.truth {
				under++
			}
			if d.failsAtLeast(0.95) > m.truth {
				over++
			}
			widths += d.failsAtMost(0.95) / m.truth
		}
		most := 0.05*float64(*sloRuns) + 2*math.Sqrt(0.05*0.95*float64(*sloRuns)) // two standard deviations of the count
		t.Logf("%s: of %d runs the truth is above in %.1f%%, below in %.1f%%; the upper bound is %.2f times the truth", m.name, *sloRuns,
			100*float64(under)/float64(*sloRuns), 100*float64(over)/float64(*sloRuns), widths/float64(*sloRuns))
		if float64(under) > most || float64(over) > most {
			t.Errorf("%s: the truth is above the bounds in %d of %d, below them in %d", m.name, under, *sloRuns, over)
		}
	}
}

// A share that is declared above what it is is not held.
func TestNoFalseSLOHolds(t *testing.T) {
	for _, p := range []float64{0.001, 0.01, 0.1} {
		rng := rand.New(rand.NewPCG(18, uint64(1/p)))
		run := objective(20_000, func(_ int, s *load.Sample) {
			if rng.Float64() < p {
				s.Status, s.Outcome = 503, load.ServerError
			}
		})
		for _, by := range []float64{0.1, 0.5, 0.8, 0.9} {
			if v := (SLO{Success: unit.Share(1 - by*p)}).Judge(run); v.Ruling == Held {
				t.Errorf("%v fail, %v are declared to: held: %s", p, by*p, v.Reason)
			}
		}
		for _, by := range []float64{1.5, 2} {
			if v := (SLO{Success: unit.Share(1 - by*p)}).Judge(run); v.Ruling == Refuted {
				t.Errorf("%v fail, %v may: refuted: %s", p, by*p, v.Reason)
			}
		}
	}
}

// The alerts fire where a window is above its burn rate, scaled to the run.
func TestSLOAlerts(t *testing.T) {
	// 72 s stand for 72 h: an hour is a second, and 5 minutes are 83 ms. From 30 s on one
	// in 50 fails of which one in 1,000 may: 20 times the budget.
	run := objective(72_000, func(i int, s *load.Sample) {
		if i >= 30_000 && i < 33_000 && i%50 == 0 {
			s.Status, s.Outcome = 503, load.ServerError
		}
	})
	v := SLO{Success: 0.999}.Judge(run)
	var says string
	for _, p := range v.Parts {
		if p.Name == "alerts" {
			says = p.Reason
		}
	}
	// 14.4 over a second: at 20 per second of burn after 0.72 s. 6 over 6 s: after 1.8 s. 1
	// over 72 s: 60 s of budget are burnt after 3 s, and 72 are needed.
	for _, want := range []string{"1 s is 1 h", "14.4 over 1 h and 5 min would have fired at 30.7", "6 over 6 h and 30 min would have fired at 31.",
		"1 over 3 days and 6 h would not have fired"} {
		if !strings.Contains(says, want) {
			t.Errorf("it lacks %q: %s", want, says)
		}
	}
	if v := (SLO{Success: 0.999}).Judge(objective(3000, nil)); !strings.Contains(fmt.Sprint(v.Parts), "too few requests in its short window") {
		t.Errorf("3 s are not too short: %v", v.Parts)
	}
}

// Where an agent was lost nothing has held, and it is named before all else that was
// wrong; what is refuted stays.
func TestLostAgentLeavesNothingHeld(t *testing.T) {
	run := objective(31_000, nil)
	run.Gone = []evidence.LostAgent{{At: 5 * time.Second, Agent: "b", Text: "it was not heard of for 3s"}}
	late := objective(31_000, nil)
	late.Gone = run.Gone
	for i := range late.Ticks {
		late.Ticks[i].LateP99 = evidence.Seconds(time.Second)
	}
	for _, run := range []*evidence.Run{run, late} {
		for _, c := range []Claim{SLO{Success: 0.9999}, Steady{Success: 0.99}, Steady{Success: 0.99, Route: "nowhere"}} {
			if v := c.Judge(run); v.Ruling != Inconclusive || !strings.HasPrefix(v.Reason, "agent b was lost at 5") {
				t.Errorf("%s: %s: %s", c, v.Ruling, v.Reason)
			}
		}
	}
	for i := range run.Samples {
		run.Samples[i].Outcome, run.Samples[i].Status = load.ServerError, 503
	}
	if v := (Steady{Success: 0.99}).Judge(run); v.Ruling != Refuted {
		t.Errorf("all failed: %s: %s", v.Ruling, v.Reason)
	}
}
