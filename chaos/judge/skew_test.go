package judge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// sharded is a run of n calls over s1, s2 and s3, which get these parts of them by chance.
func sharded(seed uint64, n int, parts [3]float64) *evidence.Run {
	rng := rand.New(rand.NewPCG(seed, 1))
	run := &evidence.Run{Routes: []string{"read"}, Links: map[string]*evidence.Link{}, End: 10 * time.Second}
	for i := range 3 {
		name := fmt.Sprintf("s%d", i+1)
		run.Links[name] = &evidence.Link{Name: name, From: "api", To: "db" + name}
	}
	for at := time.Second; at <= run.End; at += time.Second {
		run.Ticks = append(run.Ticks, evidence.Tick{At: at})
	}
	for i := range n {
		at := time.Duration(i) * run.End / time.Duration(n)
		s := load.Sample{ID: uint64(i + 1), Intended: at, Sent: at, Done: at + 3*ms, Status: 200}
		link := run.Links["s3"]
		if p := rng.Float64(); p < parts[0] {
			link = run.Links["s1"]
		} else if p < parts[0]+parts[1] {
			link = run.Links["s2"]
		}
		link.Exchanges = append(link.Exchanges, evidence.Exchange{ID: s.ID, Begin: at + ms, End: at + 2*ms, Status: 200})
		run.Samples = append(run.Samples, s)
	}
	return run
}

var shards = Links{"s1", "s2", "s3"}

func TestSkew(t *testing.T) {
	even := [3]float64{1. / 3, 1. / 3, 1. / 3}
	hot := [3]float64{0.6, 0.2, 0.2} // 1.8 times the mean
	for _, c := range []struct {
		name  string
		run   *evidence.Run
		claim Skew
		want  Ruling
		says  string
	}{
		{"even", sharded(1, 3000, even), Skew{Links: shards, AtMost: 1.5}, Held, "and chance alone spreads them as unevenly in "},
		{"one is hot", sharded(1, 3000, hot), Skew{Links: shards, AtMost: 1.5}, Refuted, "which is no chance"},
		{"one is hot, as claimed", sharded(1, 3000, hot), Skew{Links: shards, AtMost: 2}, Held, `"s1" got 1.7`},
		{"close to the bound", sharded(1, 3000, hot), Skew{Links: shards, AtMost: 1.8}, Inconclusive, "more calls would tell"},
		{"too few to tell", sharded(1, 160, even), Skew{Links: shards, AtMost: 1.2}, Inconclusive, "more calls would tell"},
		{"hardly any", sharded(1, 149, even), Skew{Links: shards, AtMost: 3}, Inconclusive, "only 149 calls began"},
		{"of another route", sharded(1, 3000, even), Skew{Links: shards, Route: "write", AtMost: 3}, Inconclusive, `no route "write"`},
		{"one gets none", sharded(1, 3000, [3]float64{0.5, 0.5, 0}), Skew{Links: shards, AtMost: 1.2}, Refuted, "1.5"},
	} {
		v := c.claim.Judge(c.run)
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, v.Ruling, v.Reason, c.want, c.says)
		}
	}
}

func TestSkewIsNotHeldByALie(t *testing.T) {
	for seed := range uint64(20) {
		run := sharded(seed, 5000, [3]float64{0.5, 0.3, 0.2}) // 1.5 times the mean
		for _, bound := range []float64{1, 1.1, 1.2, 1.35, 1.49, 1.51, 1.65, 2, 3} {
			switch v := (Skew{Links: shards, AtMost: bound}).Judge(run); {
			case bound < 1.5 && v.Ruling == Held, bound > 1.5 && v.Ruling == Refuted, bound >= 1.65 && v.Ruling != Held, bound <= 1.35 && v.Ruling != Refuted:
				t.Errorf("seed %d, at most %v of 1.5: %v: %s", seed, bound, v.Ruling, v.Reason)
			}
		}
	}
}

// After a fault the others have the part of the one that is lost: that is no skew.
func TestSkewIsOfTheTimeBeforeFaults(t *testing.T) {
	run := sharded(1, 3000, [3]float64{1. / 3, 1. / 3, 1. / 3})
	for i := range run.Links["s3"].Exchanges {
		if x := &run.Links["s3"].Exchanges[i]; x.Begin > 5*time.Second {
			x.Begin = 20 * time.Second
		}
	}
	run.Faults = []evidence.Injection{{Name: "down", Kind: "errors", Statuses: []int{503}, On: "s3", Injected: 5 * time.Second, Healed: 9 * time.Second}}
	if v := (Skew{Links: shards, AtMost: 1.3}).Judge(run); v.Ruling != Held {
		t.Errorf("%v: %s", v.Ruling, v.Reason)
	}
}

// Of tables: the chance that chi-square exceeds these is 5%, and 1%.
func TestChiSquareTail(t *testing.T) {
	for k, x := range map[int][2]float64{1: {3.841, 6.635}, 2: {5.991, 9.210}, 3: {7.815, 11.345}, 4: {9.488, 13.277}, 9: {16.919, 21.666}, 30: {43.773, 50.892}} {
		for i, want := range []float64{0.05, 0.01} {
			if got := chiSquareTail(x[i], k); math.Abs(got-want) > want/200 {
				t.Errorf("%d degrees, %v: %v, want %v", k, x[i], got, want)
			}
		}
	}
}
