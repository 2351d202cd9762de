package compare

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/judge"
)

// quiet is a host that nothing disturbs.
var quiet = host{between: 0.002, own: 0.002, second: 0.002, lasting: 0.5, rate: 100, seconds: 30}

func quietSides(runs int) Sides {
	return quiet.sides(rand.New(rand.NewPCG(7, 7)), runs, 1, 0)
}

// What sides must have in common decides, whatever their figures came to.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *Sides)
		want   string // "" is not refused
	}{
		{"the same", func(*Sides) {}, ""},
		{"other load", func(s *Sides) { s.Now[0].Conditions = []Condition{{"load.rate", "500/s"}, {"host", "a"}} },
			"load.rate differs: 100 and 500/s"},
		{"other host", func(s *Sides) { s.Now[1].Conditions = []Condition{{"load.rate", "100"}, {"host", "b"}} }, "host differs: a and b"},
		{"host not known", func(s *Sides) { s.Now[1].Conditions = []Condition{{"load.rate", "100"}, {"host", ""}} }, ""},
		{"within a side", func(s *Sides) { s.Base[1].Conditions = []Condition{{"load.rate", "100"}, {"host", "b"}} }, "host differs: a and b"},
		{"a key more", func(s *Sides) {
			s.Now[0].Conditions = append(slices.Clone(s.Now[0].Conditions), Condition{"load.warmup", "5s"})
		},
			"load.warmup differs: it is 5s on one side alone"},
		{"a key less", func(s *Sides) { s.Now[0].Conditions = s.Now[0].Conditions[:1] }, "host differs: it is a on one side alone"},
		{"any host", func(s *Sides) {
			s.Now[1].Conditions = []Condition{{"load.rate", "100"}, {"host", "b"}}
			s.IgnoreHost()
		}, ""},
		{"cut short", func(s *Sides) { s.Now[0].Dir, s.Now[0].Partial = "runs/x", "stopped by a signal" },
			"x was cut short: stopped by a signal"},
		{"unwell", func(s *Sides) { s.Base[1].Dir, s.Base[1].Unwell = "runs/y", []string{"it was late: by 3s"} }, "unwell in y (it was late)"},
	} {
		s := quietSides(2)
		c.change(&s)
		got := Compare(s, Defaults())
		switch {
		case c.want == "" && len(got.Refusals) > 0:
			t.Errorf("%s: refused for %q", c.name, got.Refusals)
		case c.want != "" && (got.Ruling != Undecided || !strings.Contains(strings.Join(got.Reasons, "\n"), c.want)):
			t.Errorf("%s: %s because of %q, want undecided for %q", c.name, got.Ruling, got.Reasons, c.want)
		}
	}
}

// In a duet the machine does to one side what it does to the other; what the
// harness did not do, or did not record, is a matter of one side all the same.
func TestUnwellDuet(t *testing.T) {
	s := quiet.duet(rand.New(rand.NewPCG(7, 7)), 1, 0)
	if s.Way() != Duet {
		t.Fatalf("it is %s", s.Way())
	}
	s.Now[0].Unwell, s.Now[0].Pressure = []string{"it was late"}, 0.9
	got := Compare(s, Defaults())
	notes := strings.Join(got.Notes, "\n")
	if len(got.Refusals) > 0 || !strings.Contains(notes, "unwell, on both sides") || !strings.Contains(notes, "90% of the worst second") {
		t.Errorf("refused for %q, notes %q", got.Refusals, got.Notes)
	}
	s.Now[0].Damaged = s.Now[0].Unwell
	if got := Compare(s, Defaults()); got.Ruling != Undecided || len(got.Refusals) != 1 {
		t.Errorf("requests were not sent: %s, refused for %q", got.Ruling, got.Refusals)
	}
}

// A change is worse only beyond both halves of a tolerance, and not worse within
// either.
func TestBothTolerances(t *testing.T) {
	s := quiet.sides(rand.New(rand.NewPCG(7, 7)), 5, 1.1, 0) // p50 is 11.4 ms and 1.14 ms more
	for _, c := range []struct {
		name      string
		tolerance Tolerance
		want      Ruling
	}{
		{"beyond both", Tolerance{0.03, 0.2}, Worse},
		{"within the relative", Tolerance{0.15, 0.2}, NotWorse},
		{"within the absolute", Tolerance{0.03, 2}, NotWorse},
		{"near the relative", Tolerance{0.1, 0.2}, Undecided},
		{"near the absolute", Tolerance{0.03, 1.14}, Undecided},
		{"relative alone", Tolerance{0.03, 0}, Worse},
		{"absolute alone", Tolerance{0, 0.2}, Worse},
	} {
		got := Compare(s, Tolerances{"p50": c.tolerance})
		if got.Ruling != c.want || got.Rows[0].Ruling != c.want {
			t.Errorf("%s: got %s for %+v", c.name, got.Ruling, got.Rows[0])
		}
	}
}

// A resolution is kept: twice as much as it says is found, and a row that is far
// above it is not called undecided.
func TestResolution(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	found := Compare(steadyHost.sides(rng, 5, 1, 0), Defaults()).Rows[0].Resolution
	if found < 3 || found > 15 {
		t.Fatalf("5 + 5 runs that differ by 1%% would have found %.3g%%", found)
	}
	for range 5 {
		if got := Compare(steadyHost.sides(rng, 5, 1+2*float64(found)/100, 0), Defaults()); got.Rows[0].Ruling != Worse {
			t.Errorf("%.3g%% more is %s: %s", 2*found, got.Rows[0].Ruling, got.Rows[0].Reason)
		}
	}
}

// A percentile needs samples beyond it, and what has no tolerance is shown.
func TestShownOnly(t *testing.T) {
	few := steadyHost
	few.rate = 100 // 3,000 requests a side and run: 30 beyond a p99
	got := Compare(few.duet(rand.New(rand.NewPCG(5, 5)), 1, 0), Defaults())
	for _, r := range got.Rows {
		shown := r.Metric == "p99" || r.Metric == "p99.9"
		if r.Gated == shown {
			t.Errorf("%s: gated is %v: %s", r.Metric, r.Gated, r.Reason)
		}
	}
	if got.Rows[2].Reason != "30 of 100 samples beyond it" || got.Rows[3].Reason != "no tolerance" {
		t.Errorf("reasons %q and %q", got.Rows[2].Reason, got.Rows[3].Reason)
	}
	if got := Compare(quietSides(2), Tolerances{}); got.Ruling != NotWorse {
		t.Errorf("by its claim alone it is %s", got.Ruling)
	}
	s := quietSides(2)
	for i := range s.Base {
		s.Base[i].Claims, s.Now[i].Claims = nil, nil
	}
	if got := Compare(s, Tolerances{}); got.Ruling != Undecided {
		t.Errorf("of nothing it is %s", got.Ruling)
	}
}

// A load too short for blocks is undecided, not a ruling on three.
func TestTooFewBlocks(t *testing.T) {
	brief := quiet
	brief.seconds = 3
	got := Compare(brief.duet(rand.New(rand.NewPCG(5, 5)), 2, 0), Defaults())
	if got.Ruling != Undecided || !strings.Contains(got.Reasons[0], "3 blocks with requests on both sides, and it takes 4") {
		t.Errorf("%s: %q", got.Ruling, got.Reasons)
	}
}

func TestBlockLength(t *testing.T) {
	for run, want := range map[time.Duration]time.Duration{
		time.Second: time.Second, 5 * time.Second: time.Second, 20 * time.Second: 3 * time.Second,
		60 * time.Second: 10 * time.Second, time.Hour: 10 * time.Second,
	} {
		if got := BlockLength(run); got != want {
			t.Errorf("%v: got %v, want %v", run, got, want)
		}
	}
}

func TestClaims(t *testing.T) {
	for _, c := range []struct {
		name      string
		base, now []judge.Ruling
		want      Ruling
		gated     bool
	}{
		{"stays", []judge.Ruling{judge.Held}, []judge.Ruling{judge.Held}, NotWorse, true},
		{"is refuted now", []judge.Ruling{judge.Held}, []judge.Ruling{judge.Refuted}, Worse, true},
		{"is better", []judge.Ruling{judge.Refuted}, []judge.Ruling{judge.Held}, NotWorse, true},
		{"was refuted too", []judge.Ruling{judge.Refuted}, []judge.Ruling{judge.Refuted}, NotWorse, true},
		{"cannot be told now", []judge.Ruling{judge.Held}, []judge.Ruling{judge.Inconclusive}, Undecided, true},
		{"never could", []judge.Ruling{judge.Inconclusive}, []judge.Ruling{judge.Inconclusive}, Undecided, false},
		{"once in three", []judge.Ruling{judge.Held, judge.Held, judge.Held}, []judge.Ruling{judge.Refuted, judge.Held, judge.Held},
			Undecided, true},
		{"as often", []judge.Ruling{judge.Held, judge.Refuted}, []judge.Ruling{judge.Refuted, judge.Held}, NotWorse, true},
	} {
		var base, now Rulings
		for _, side := range []struct {
			counts *Rulings
			are    []judge.Ruling
		}{{&base, c.base}, {&now, c.now}} {
			var runs []Run
			for _, r := range side.are {
				runs = append(runs, Run{Claims: []Claim{{"steady", r}}})
			}
			*side.counts, _ = count(runs, "steady")
		}
		if got, gated, why := compareRulings(base, now); got != c.want || gated != c.gated {
			t.Errorf("%s: got %s, gated %v: %s", c.name, got, gated, why)
		}
	}
}

// A history is for the spread; what is not like the base is no part of it.
func TestHistory(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	s := steadyHost.sides(rng, 1, 1, 0)
	alone := Compare(s, Defaults()).Rows[0].Resolution
	s.History = steadyHost.sides(rng, 6, 1, 0).Base
	s.History[5].Conditions = []Condition{{"load.rate", "1"}, {"host", "a"}}
	with := Compare(s, Defaults())
	if with.Rows[0].Resolution > alone/3 {
		t.Errorf("the resolution is %.3g%%, and %.3g%% without a history", with.Rows[0].Resolution, alone)
	}
	if !strings.Contains(with.Method, "5 earlier ones") || len(with.Notes) != 1 ||
		!strings.Contains(with.Notes[0], "left out of the history: load.rate differs") {
		t.Errorf("method %q, notes %q", with.Method, with.Notes)
	}
}

// CPU per request needs several runs; then it is a metric as any other.
func TestCPU(t *testing.T) {
	used := func(s *Sides, base, now time.Duration) {
		for i := range s.Base {
			s.Base[i].CPU = map[string]time.Duration{"shop": base + time.Duration(i)*time.Millisecond}
			s.Now[i].CPU = map[string]time.Duration{"shop": now + time.Duration(i)*time.Millisecond}
		}
	}
	last := func(c *Comparison) Row { return c.Rows[len(c.Rows)-1] }
	s := quietSides(3)
	used(&s, time.Second, 1100*time.Millisecond) // of 3,000 requests: 0.333 ms, and 0.033 ms more
	if r := last(Compare(s, Defaults())); r.Name() != "shop cpu" || r.Ruling != Worse || !r.Gated {
		t.Errorf("a tenth more: %+v", r)
	}
	one := quietSides(1)
	used(&one, time.Second, 2*time.Second)
	if r := last(Compare(one, Defaults())); r.Gated {
		t.Errorf("of one run a side: %+v", r)
	}
	s.Now[1].CPU = nil
	if r := last(Compare(s, Defaults())); r.Metric == "cpu" {
		t.Errorf("not known of every run: %+v", r)
	}
}

func TestTolerancesAreRead(t *testing.T) {
	for text, want := range map[string]Tolerance{
		"p50=5%": {0.05, 0}, "p99=20%,2ms": {0.2, 2}, "p99.9=1ms": {0, 1}, "success=1%": {0, 0.01}, "rate=10%": {0.1, 0},
	} {
		all := Defaults()
		if err := all.Set(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if name, _, _ := strings.Cut(text, "="); all[name] != want {
			t.Errorf("%s: got %+v", text, all[name])
		}
	}
	for text, want := range map[string]string{
		"p50": "write METRIC=RELATIVE", "p51=5%": "one of p50, p90", "p50=5": "neither a share like 5%", "p50=-1ms": "nor a time",
		"rate=5ms": "no other tolerance",
	} {
		if err := Defaults().Set(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A comparison reads back from its JSON, figures that are none included.
func TestComparisonAsJSON(t *testing.T) {
	c := Compare(quietSides(2), Defaults())
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Comparison
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || string(again) != string(text) {
		t.Errorf("%v:\n%s\n%s", err, text, again)
	}
}
