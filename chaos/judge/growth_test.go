package judge

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
)

// More seeds cost only time: go test -growth-seeds 1000 -run Growth ./chaos/judge
var growthSeeds = flag.Int("growth-seeds", 4, "how many seeds each simulated process is judged with")

// grower is a process whose memory is simulated. Sizes are in MiB, times in minutes.
type grower struct {
	leak       float64       // in a minute, from the start
	saw, every float64       // what a round of the collector gives back, and how often about
	warm, tau  float64       // it takes so much more, by less and less
	steps      int           // caches of 20 that are filled at once, some time
	late       float64       // leaks only in the last part of the run, this share of it
	wobble     float64       // of each second
	ripple     float64       // that goes up and down, about every five minutes
	length     time.Duration // 0 is 20 minutes
}

// run is a run in which the process was weighed each second.
func (g grower) run(seed uint64) *evidence.Run {
	rng := rand.New(rand.NewPCG(seed, 11))
	length := g.length
	if length == 0 {
		length = 20 * time.Minute
	}
	run := &evidence.Run{Name: "x", Seed: seed, Load: length, End: length}
	high, turn, phase := rng.Float64()*g.saw, 0.0, rng.Float64()*2*math.Pi
	var steps []float64
	for range g.steps {
		steps = append(steps, rng.Float64()*length.Minutes())
	}
	for at := time.Second; at <= length; at += time.Second {
		t := at.Minutes()
		if g.saw > 0 {
			if high += g.saw / (60 * g.every) * (0.5 + rng.Float64()); high > g.saw*(0.9+0.2*turn) {
				high, turn = 0, rng.Float64()
			}
		}
		mib := 50 + high + g.wobble*rng.NormFloat64() + g.ripple*math.Sin(2*math.Pi*t/5+phase)
		if g.tau > 0 {
			mib += g.warm * (1 - math.Exp(-t/g.tau))
		}
		for _, s := range steps {
			if t > s {
				mib += 20
			}
		}
		leaks := t
		if g.late > 0 {
			leaks = max(0, t-(1-g.late)*length.Minutes())
		}
		mib += g.leak * leaks
		run.Ticks = append(run.Ticks, evidence.Tick{At: at, Ended: 100, Cores: 2, Targets: map[string]evidence.TargetTick{
			"shop": {Pid: 7, RSS: int64(mib * (1 << 20)), Files: 12 + rng.IntN(3), Threads: 9}}})
	}
	return run
}

// ofMemory is a claim of memory, in MiB an hour.
func ofMemory(mib float64) Growth {
	rss := unit.SizeGrowth(mib * (1 << 20))
	return Growth{Target: "shop", RSS: &rss}
}

// rulings counts what a claim came to over the seeds.
func (g grower) rulings(t *testing.T, c Growth, seeds int) (of [Refuted + 1]int, reasons [Refuted + 1]string) {
	t.Helper()
	for seed := range seeds {
		run := g.run(uint64(seed))
		run.Brief = seed > 0
		v := c.Judge(run)
		of[v.Ruling]++
		reasons[v.Ruling] = fmt.Sprintf("seed %d: %s", seed, v.Reason)
	}
	return of, reasons
}

var soundGrowers = map[string]grower{
	"level":                        {wobble: 0.2},
	"a saw of 24 MiB":              {saw: 24, every: 0.5, wobble: 0.3},
	"a slow saw":                   {saw: 24, every: 3, wobble: 0.3},
	"a saw and ripples":            {saw: 8, every: 0.3, ripple: 4},
	"noise":                        {wobble: 4},
	"it warms up in a minute":      {saw: 24, every: 0.5, warm: 60, tau: 1},
	"it warms up in three":         {saw: 24, every: 0.5, warm: 100, tau: 3},
	"it warms up in five":          {saw: 8, every: 0.2, warm: 60, tau: 5},
	"it warms up in ten":           {saw: 4, every: 0.2, warm: 60, tau: 10},
	"it warms up as long as it is": {wobble: 0.2, warm: 60, tau: 20},
	"a cache is filled at once":    {saw: 8, every: 0.5, steps: 1},
	"several caches":               {saw: 8, every: 0.5, steps: 4},
}

// A sound process is never refuted, whether it is warming up or not, in a run that is just
// long enough neither, and one that is level holds.
func TestGrowthOfSoundProcesses(t *testing.T) {
	for name, g := range soundGrowers {
		for _, g.length = range []time.Duration{20 * time.Minute, leastTroughs * 30 * time.Second} {
			if g.tau > g.length.Minutes() || g.every > 1 && g.length < 10*time.Minute {
				continue // what takes longer than all of the run is a growth, as far as can be seen
			}
			of, reasons := g.rulings(t, ofMemory(10), *growthSeeds)
			t.Logf("%-30s in %5v: held %d, inconclusive %d, refuted %d", name, g.length, of[Held], of[Inconclusive], of[Refuted])
			if of[Refuted] > 0 {
				t.Errorf("%s: refuted %d of %d times: %s", name, of[Refuted], *growthSeeds, reasons[Refuted])
			}
		}
	}
	for _, name := range []string{"level", "noise"} {
		if of, reasons := soundGrowers[name].rulings(t, ofMemory(30), *growthSeeds); of[Held] < *growthSeeds*9/10 {
			t.Errorf("%s: held %d of %d times: %s", name, of[Held], *growthSeeds, reasons[Inconclusive])
		}
	}
}

// 1 MiB in a minute is seen in 20 minutes, under a saw of 24.
func TestGrowthOfALeak(t *testing.T) {
	for name, g := range map[string]grower{
		"a leak alone":      {leak: 1, wobble: 0.2},
		"under a saw":       {leak: 1, saw: 24, every: 0.5, wobble: 0.3},
		"under a small saw": {leak: 1, saw: 8, every: 0.2, wobble: 0.3},
		"after a warm-up":   {leak: 1, saw: 8, every: 0.2, warm: 60, tau: 1},
	} {
		of, reasons := g.rulings(t, ofMemory(10), *growthSeeds)
		t.Logf("%-30s held %d, inconclusive %d, refuted %d", name, of[Held], of[Inconclusive], of[Refuted])
		if of[Held] > 0 || of[Refuted] < *growthSeeds*8/10 {
			t.Errorf("%s: held %d, inconclusive %d, refuted %d: %s", name, of[Held], of[Inconclusive], of[Refuted], reasons[Inconclusive])
		}
	}
}

// Whatever is declared of a leak, what is false has not held, and what is true is not
// refuted.
func TestLiesAboutGrowth(t *testing.T) {
	for _, g := range []grower{{leak: 1, wobble: 0.5}, {leak: 0.2, saw: 8, every: 0.3}, {leak: 2, late: 0.3, wobble: 0.3}, {leak: 2, late: 0.15}} {
		truth := 60 * g.leak
		for _, by := range []float64{0.1, 0.5, 0.8, 0.9, 1.1, 1.25, 2} {
			of, reasons := g.rulings(t, ofMemory(by*truth), *growthSeeds)
			lie := by < 1
			if g.late > 0 {
				lie = by <= 0.1 // over the time that is looked at it leaks by less than it does in the end
			}
			if lie && of[Held] > 0 {
				t.Errorf("%+v: at most %v times what it leaks held %d times: %s", g, by, of[Held], reasons[Held])
			}
			if by > 1 && of[Refuted] > 0 {
				t.Errorf("%+v: at most %v times what it leaks was refuted %d times: %s", g, by, of[Refuted], reasons[Refuted])
			}
		}
	}
}

// A descriptor a minute is refuted, none holds, and one that comes and goes is no growth.
func TestGrowthOfDescriptors(t *testing.T) {
	none := unit.CountGrowth(0)
	for name, c := range map[string]struct {
		of   func(second int, rng *rand.Rand) int
		want Ruling
	}{
		"as many":              {func(int, *rand.Rand) int { return 12 }, Held},
		"some come and go":     {func(_ int, rng *rand.Rand) int { return 12 + rng.IntN(5) }, Held},
		"one a minute":         {func(second int, _ *rand.Rand) int { return 12 + second/60 }, Refuted},
		"one a minute or so":   {func(second int, rng *rand.Rand) int { return 12 + second/60 + rng.IntN(3) }, Refuted},
		"one more at last":     {func(second int, _ *rand.Rand) int { return 12 + second/1090 }, Inconclusive},
		"a pool fills at last": {func(second int, _ *rand.Rand) int { return 12 + max(0, min(second-600, 100))/10 }, Inconclusive},
		"not known":            {func(int, *rand.Rand) int { return -1 }, Inconclusive},
	} {
		for seed := range uint64(*growthSeeds) {
			run := grower{}.run(seed)
			rng := rand.New(rand.NewPCG(seed, 3))
			for i := range run.Ticks {
				w := run.Ticks[i].Targets["shop"]
				w.Files = c.of(i+1, rng)
				run.Ticks[i].Targets["shop"] = w
			}
			if v := (Growth{Target: "shop", FDs: &none, Threads: &none}).Judge(run); v.Ruling != c.want {
				t.Errorf("%s, seed %d: %v, want %v: %s", name, seed, v.Ruling, c.want, v.Reason)
			}
		}
	}
}

// Too short a run, a target that is not weighed and one that keeps being started again are open,
// and say what would decide.
func TestGrowthThatCannotBeTold(t *testing.T) {
	restarted := grower{}.run(1)
	for i := range restarted.Ticks {
		w := restarted.Ticks[i].Targets["shop"]
		w.Pid = 100 + i/300
		restarted.Ticks[i].Targets["shop"] = w
	}
	for _, c := range []struct {
		run  *evidence.Run
		c    Growth
		want string
	}{
		{grower{length: 5 * time.Minute}.run(1), ofMemory(10), "a run of 8m0s or longer would tell"},
		{grower{}.run(1), Growth{Target: "bank", RSS: ofMemory(1).RSS}, "what bank takes is not known"},
		{restarted, ofMemory(10), "shop was started again 3 times"},
		{grower{saw: 24, every: 3}.run(2), ofMemory(0.5), "a run of about"},
		{grower{warm: 200, tau: 15}.run(3), ofMemory(10), "it may still be warming up: a run of 40m0s or longer would tell"},
	} {
		if v := c.c.Judge(c.run); v.Ruling != Inconclusive || !strings.Contains(v.Reason, c.want) {
			t.Errorf("%v: %s, want %q in it", v.Ruling, v.Reason, c.want)
		}
	}
}

// The longest life of a target that was started again is ruled on, from its begin.
func TestGrowthAfterARestart(t *testing.T) {
	run := grower{leak: 1}.run(1)
	for i := range 200 {
		w := run.Ticks[i].Targets["shop"]
		w.Pid, w.RSS = 6, w.RSS/2
		run.Ticks[i].Targets["shop"] = w
	}
	if v := ofMemory(10).Judge(run); v.Ruling != Refuted || !strings.Contains(v.Reason, "started again once") {
		t.Errorf("%v: %s", v.Ruling, v.Reason)
	}
	var points []Point
	for _, e := range ofMemory(10).Judge(run).Exhibits {
		points = e.Growth.Points
	}
	if len(points) == 0 || points[0].At.Duration() < 200*time.Second {
		t.Errorf("the course begins at %v", points)
	}
}

// A run that was cut is ruled on as far as its evidence is whole: what the last moment has,
// in which a target may have been ended with the run, is not looked at.
func TestGrowthOfARunThatWasCut(t *testing.T) {
	for _, c := range []struct {
		name string
		of   grower
		cut  time.Duration
		c    Growth
		want Ruling
		says string
	}{
		{"level", grower{wobble: 0.2}, 20 * time.Minute, ofMemory(30), Held, ""},
		{"a leak", grower{leak: 1, wobble: 0.2}, 20 * time.Minute, ofMemory(10), Refuted, ""},
		{"too soon", grower{leak: 1}, 5 * time.Minute, ofMemory(10), Inconclusive, "a run of 8m0s or longer would tell"},
		{"at once", grower{leak: 1}, time.Second, ofMemory(10), Inconclusive, "let the run come to its end"},
	} {
		c.of.length = 40 * time.Minute
		run := c.of.run(1)
		run.Partial, run.End = true, c.cut
		run.Ticks = slices.DeleteFunc(run.Ticks, func(t evidence.Tick) bool { return t.At > c.cut })
		last := &run.Ticks[len(run.Ticks)-1]
		last.Targets = map[string]evidence.TargetTick{"shop": {Pid: 99, RSS: 1 << 20}}
		v := c.c.Judge(run)
		if v.Ruling != c.want || !strings.Contains(v.Reason, c.says) || strings.Contains(v.Reason, "started again") {
			t.Errorf("%s: %v, want %v: %s", c.name, v.Ruling, c.want, v.Reason)
		}
	}
}
