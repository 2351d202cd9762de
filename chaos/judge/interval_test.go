package judge

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func TestIntervalAgainstBound(t *testing.T) {
	for _, c := range []struct {
		name    string
		seen    Interval
		allowed Bound
		want    Ruling
	}{
		{"known and on the bound", exactly(5), atMost(5), Held},
		{"known and one over", exactly(6), atMost(5), Refuted},
		{"all of it below", interval(3, 5), atMost(5), Held},
		{"the bound within", interval(3, 8), atMost(5), Inconclusive},
		{"all of it above", interval(6, 8), atMost(5), Refuted},
		{"nothing known", anything(), atMost(5), Inconclusive},
		{"nothing known, nothing claimed", anything(), Bound{math.Inf(-1), math.Inf(1)}, Held},
		{"at least, all of it above", interval(6, 8), atLeast(6), Held},
		{"at least, the bound within", interval(5, 8), atLeast(6), Inconclusive},
		{"at least, below", interval(3, 5), atLeast(6), Refuted},
		{"a setting within its tolerance", interval(1960*ms, 2050*ms), about(2*time.Second, 0), Held},
		{"a setting a tenth off", exactly(1800 * ms), about(2*time.Second, 2*ms), Refuted},
		{"a setting at the edge of its tolerance", interval(1890*ms, 1910*ms), about(2*time.Second, 0), Inconclusive},
		{"no number", Interval{math.NaN(), math.NaN()}, atMost(5), Inconclusive},
	} {
		if got := c.seen.against(c.allowed); got != c.want {
			t.Errorf("%s: %v against %v is %v, want %v", c.name, c.seen, c.allowed, got, c.want)
		}
	}
}

// A setting that is a tenth off is never held, however it is measured: where the
// interval holds the truth, it reaches out of the tolerance.
func TestToleranceIsBelowTheSmallestLie(t *testing.T) {
	for _, truth := range []float64{20e6, 1e9, 50} {
		for _, lie := range []float64{0.5, 0.8, 0.9, 1.1, 1.25, 2} {
			for _, wide := range []float64{0, 0.01, 0.1, 1} {
				seen := Interval{truth * (1 - wide), truth * (1 + wide)}
				if got := seen.against(about(lie*truth, 0)); got == Held {
					t.Errorf("%v declared as %v, seen as %v: held", truth, lie*truth, seen)
				}
			}
		}
	}
}

func TestIntervalJoins(t *testing.T) {
	if got, ok := interval(3, 8).and(interval(5, 9)); !ok || got != interval(5, 8) {
		t.Errorf("3 to 8 and 5 to 9 is %v, %v", got, ok)
	}
	if _, ok := interval(3, 4).and(interval(5, 9)); ok {
		t.Error("3 to 4 and 5 to 9 are one figure")
	}
	if got := interval(3, 4).or(interval(8, 9)); got != interval(3, 9) {
		t.Errorf("3 to 4 or 8 to 9 is %v", got)
	}
	if got := interval(3, 4).widened(5, 1); got != interval(0, 5) {
		t.Errorf("3 to 4 with 5 less and 1 more is %v", got)
	}
}

func TestPartSays(t *testing.T) {
	for _, c := range []struct {
		name string
		m    measure
		want string
	}{
		{"held near its bound", measure{seen: exactly(5), allowed: atMost(5), says: "opened after 5 failures"}, "opened after 5 failures"},
		{"held far below", measure{seen: exactly(5), allowed: atMost(10), says: "opened after 5 failures"}, "opened after 5 failures (at most 10 claimed)"},
		{"refuted", measure{seen: exactly(6), allowed: atMost(5), says: "opened after 6 failures"}, "opened after 6 failures, at most 5 claimed"},
		{"cannot be told", measure{seen: interval(3, 8), allowed: atMost(5), says: "opened", hidden: noiseText(10 * ms), settle: "add latency"},
			"opened: it cannot be told whether at most 5 was kept, because the figure may be 3 to 8, hidden by 10 ms of noise: add latency"},
		{"of times", measure{unit: timed, seen: interval(90*ms, 110*ms), allowed: atMost(100 * ms), says: "answered"},
			"answered: it cannot be told whether at most 100 ms was kept, because the figure may be 90 ms to 110 ms: " + quieter},
	} {
		if got := c.m.part().Reason; got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestPartJSON(t *testing.T) {
	m := measure{name: "waits", unit: timed, seen: Interval{2e9, math.Inf(1)}, allowed: about(2*time.Second, 0), sample: 3, says: "waited"}
	text, err := json.Marshal(m.part())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"unit":"ms"`, `"seen":[2000,null]`, `"allowed":[1900,2100]`, `"sample":3`, `"ruling":"inconclusive"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
	var back Part
	if err := json.Unmarshal(text, &back); err != nil || !math.IsInf(back.Seen.High, 1) || back.Seen.Low != 2000 {
		t.Errorf("read back: %v, %v", back.Seen, err)
	}
}

// A claim's ruling is the worst of what was claimed, and what nobody claimed
// neither spoils nor makes it.
func TestRulingOfParts(t *testing.T) {
	held, refuted := Part{}, Part{Ruling: Refuted}
	note := Part{Ruling: Refuted, Note: true}
	for _, c := range []struct {
		parts []Part
		want  Ruling
	}{
		{nil, Inconclusive},
		{[]Part{note}, Inconclusive},
		{[]Part{held, note}, Held},
		{[]Part{held, {Ruling: Inconclusive}}, Inconclusive},
		{[]Part{held, refuted, {Ruling: Inconclusive}}, Refuted},
	} {
		if got := rulingOf(c.parts); got != c.want {
			t.Errorf("%v is %v, want %v", c.parts, got, c.want)
		}
	}
}
