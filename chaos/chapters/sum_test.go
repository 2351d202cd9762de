package chapters

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/unit"
)

func TestSum(t *testing.T) {
	const h, i, r = judge.Held, judge.Inconclusive, judge.Refuted
	of := func(rulings ...judge.Ruling) (all []Entry) {
		for k, ruling := range rulings {
			all = append(all, Entry{Number: k + 1, From: evidence.Seconds(time.Duration(k) * 10 * time.Minute),
				To: evidence.Seconds(time.Duration(k+1) * 10 * time.Minute), Faults: 1, Ruling: ruling,
				Verdicts: []Verdict{{Ruling: ruling, Name: "c", Reason: "because", IDs: []uint64{uint64(k)}}}})
		}
		return all
	}
	many := func(n int, last judge.Ruling) []judge.Ruling { return append(make([]judge.Ruling, n-1), last) }
	calm := of(h, i, h)
	calm[1].Faults = 0
	gap := of(h, i)
	gap[1].Faults, gap[1].Blank = 0, "it was killed"
	for _, c := range []struct {
		name    string
		entries []Entry
		want    judge.Ruling
		reason  string
	}{
		{"one refutes", of(h, h, r, i, r), r, "refuted in 2 of 5 chapters; the first is chapter 3 (20m to 30m): because"},
		{"all held", of(h, h), h, "held in all of 2 chapters"},
		{"one of 144 could not tell", of(many(144, i)...), h, "held in 143 of 144 chapters, inconclusive in 1; the first is chapter 144"},
		{"one of 20 is not more than 5%", of(many(20, i)...), h, "held in 19 of 20"},
		{"one of 19 is", of(many(19, i)...), i, "more than the 5% of max_inconclusive"},
		{"none could tell", of(i, i), i, "inconclusive in all of 2 chapters"},
		{"none at all", nil, i, "no chapter was judged"},
		{"one without a fault says nothing", calm, h, "held in all of 2 chapters (1 more had no fault"},
		{"but a gap does", gap, i, "held in 1 of 2 chapters"},
	} {
		s := Sum{Claims: []judge.Verdict{{Claim: "that it holds", Kind: "steady", Name: "c", Line: 7}}, Chaos: true, MostOpen: 0.05}
		for k := range c.entries {
			s.Add(&c.entries[k])
		}
		got := s.Verdicts()[0]
		if got.Ruling != c.want || !strings.Contains(got.Reason, c.reason) || got.Claim != "that it holds" || got.Line != 7 {
			t.Errorf("%s: %s: %s", c.name, got.Ruling, got.Reason)
		}
		if c.want == r && len(got.IDs) != 2 {
			t.Errorf("%s: ids %v", c.name, got.IDs)
		}
	}
}

// What a target takes is ruled on over all chapters, as soon as they are enough: 1 MiB an
// hour is 170 KiB in a chapter of ten minutes, which its own saw hides.
func TestSumOfGrowth(t *testing.T) {
	rss := unit.SizeGrowth(1 << 19)
	of := func(n int, growth float64, again int) *Sum {
		s := &Sum{Claims: []judge.Verdict{{Claim: "growth of shop", Kind: "growth", Name: "g"}}, MostOpen: 0.05, Seed: 1,
			Growth: []judge.Claim{judge.Growth{Target: "shop", RSS: &rss, Troughs: 30 * time.Second}}}
		rng := rand.New(rand.NewPCG(1, 2))
		for k := range n {
			from := time.Duration(k) * 10 * time.Minute
			w := evidence.TargetTick{Pid: 1 + k/again, RSS: int64((50 + growth*from.Hours() + 0.02*rng.NormFloat64()) * (1 << 20))}
			s.Add(&Entry{Number: k + 1, From: evidence.Seconds(from), To: evidence.Seconds(from + 10*time.Minute),
				Verdicts: []Verdict{{Ruling: judge.Inconclusive, Name: "g", Reason: "hidden"}},
				Least:    LeastOf([]evidence.Tick{{Targets: map[string]evidence.TargetTick{"shop": {Pid: w.Pid, RSS: w.RSS + 1<<23}}}, {Targets: map[string]evidence.TargetTick{"shop": w}}})})
		}
		return s
	}
	for _, c := range []struct {
		name   string
		sum    *Sum
		want   judge.Ruling
		reason string
	}{
		{"a leak of 1 MiB/h in a day", of(144, 1, 1000), judge.Refuted, "MiB/h"},
		{"level", of(144, 0, 1000), judge.Held, "MiB/h"},
		{"too few chapters", of(10, 1, 1000), judge.Inconclusive, "inconclusive in all of 10 chapters"},
		{"started again after each hour", of(144, 1, 6), judge.Inconclusive, "at least"},
		{"started again once", of(144, 1, 100), judge.Refuted, "MiB/h"},
	} {
		v := c.sum.Verdicts()[0]
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.reason) || v.Name != "g" || v.Claim != "growth of shop" {
			t.Errorf("%s: %s: %s, want %s: %s", c.name, v.Ruling, v.Reason, c.want, c.reason)
		}
	}
}

// The least of a chapter is that of the last process of a target.
func TestLeastOf(t *testing.T) {
	tick := func(pid int, rss int64, files, threads int) evidence.Tick {
		return evidence.Tick{Targets: map[string]evidence.TargetTick{"shop": {Pid: pid, RSS: rss, Files: files, Threads: threads}}}
	}
	got := LeastOf([]evidence.Tick{tick(1, 5, 1, 1), tick(2, 9, 4, 6), {}, tick(2, 7, 5, 5), tick(2, 8, 6, 7)})
	if want := (evidence.TargetTick{Pid: 2, RSS: 7, Files: 4, Threads: 5}); len(got) != 1 || got["shop"] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := LeastOf([]evidence.Tick{{}, {}}); got != nil {
		t.Errorf("of what is not weighed %+v, want none", got)
	}
}
