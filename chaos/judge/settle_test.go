package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// On a host whose noise hides figures every part that cannot be told says what would
// settle it, and no claim has two parts of one name.
func TestPartsSayWhatSettlesThem(t *testing.T) {
	open := map[string]bool{}
	for kind, s := range sounds() {
		for _, spoil := range []func(*evidence.Tick){
			func(t *evidence.Tick) { t.Pressure = 0.9 }, // 500 ms of noise
			func(t *evidence.Tick) { t.HiccupMax = evidence.Seconds(300 * ms) },
			func(t *evidence.Tick) { t.LateP99 = evidence.Seconds(80 * ms) },
		} {
			run := copied(s.run)
			for i := range run.Ticks {
				spoil(&run.Ticks[i])
			}
			names := map[string]bool{}
			for _, p := range s.claim.Judge(run).Parts {
				if names[p.Name] && p.Name == "within" {
					t.Errorf("%s: two parts are called %s", kind, p.Name)
				}
				names[p.Name] = true
				_, rest, hidden := strings.Cut(p.Reason, "it cannot be told whether ")
				if !hidden {
					continue
				}
				open[kind] = true
				if _, next, said := strings.Cut(rest, ": "); !said || len(next) < 10 {
					t.Errorf("%s, %s: no next step: %s", kind, p.Name, p.Reason)
				}
			}
		}
	}
	if len(open) == 0 {
		t.Error("all could be told: nothing was tested")
	}
}

// A recovery that proves nothing says so in a part of its own.
func TestRecoveryHasOnePartOfEachName(t *testing.T) {
	w := failing(1)
	w.faults[0].Share = 0
	names := map[string]int{}
	for _, p := range (Recovery{Route: "pay", Within: 2 * time.Second}).Judge(w.play()).Parts {
		names[p.Name]++
	}
	if names["within"] != 1 || names["trigger"] != 1 {
		t.Errorf("parts: %v", names)
	}
}

// What late sending hides is not put down to the host's noise.
func TestSteadyNamesLateSending(t *testing.T) {
	run := &evidence.Run{End: time.Second, Routes: []string{"pay"}, Samples: evenly(0, 20),
		Ticks: []evidence.Tick{{At: time.Second, LateP99: evidence.Seconds(60 * ms)}}}
	v := Steady{P99: 50 * ms}.Judge(run)
	if v.Ruling != Inconclusive || !strings.Contains(v.Reason, "sending late") || strings.Contains(v.Reason, "10 ms of noise") {
		t.Errorf("%s: %s", v.Ruling, v.Reason)
	}
}

// What is not as it was recorded is named with its file and second, by every claim, and a
// single record is enough, in a run that was killed too.
func TestFlawsAreNamed(t *testing.T) {
	const file = "evidence/front.csv"
	for kind, s := range sounds() {
		for _, partial := range []bool{false, true} {
			run := copied(s.run)
			run.Partial = partial
			run.Lost = map[string]uint64{file: 1}
			run.Flaws = []evidence.Flaw{{File: file, What: "there twice", Records: 1, From: time.Second, To: 2 * time.Second}}
			v := s.claim.Judge(run)
			if v.Ruling != Inconclusive || !strings.Contains(v.Reason, file+": 1 record there twice, the first between 1s and 2s") ||
				strings.Contains(v.Reason, "lost") {
				t.Errorf("%s, cut %v: %s: %s", kind, partial, v.Ruling, v.Reason)
			}
		}
	}
}
