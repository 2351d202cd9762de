package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

var powerRounds = flag.Int("power", 0, "rounds of TestPowerAgainstRuns; 0 leaves it out")

// A plan is an experiment on a sound system, and what it cannot decide.
type plan struct {
	file string // in testdata/power, without .yaml
	set  []string
	weak []string // paths of the parts, in order; none if it decides all
}

func (p plan) String() string { return strings.Join(append([]string{p.file}, p.set...), " ") }

// weakPlans are plans that differ from one that decides all by one thing, or a
// few, and those they differ from. Each row says why. What a plan is warned of
// comes out inconclusive, everything else is decided: TestPowerAgainstRuns.
var weakPlans = []plan{
	{"breaker", nil, nil},
	{"breaker", []string{"load.rate=24/s", "chaos[0].at=1500ms"}, // 18/s of pay × 1 s of waiting = 18 requests, 20 are needed
		[]string{"claims[1].breaker"}},
	{"breaker", []string{"chaos[1].for=8ms", "chaos[2].latency.delay=1ms"}, // 300/s × 8 ms = 2 failures, 10 are needed
		[]string{"claims[1].breaker"}},
	{"breaker", []string{"chaos[1].errors.status=404", "chaos[2].latency.delay=10ms"}, // nothing fails that counts
		[]string{"claims[1].breaker"}},
	{"breaker", []string{"chaos[2].latency.delay=1ms"}, // 300/s × 1 ms: nobody comes during a probe
		[]string{"claims[1].breaker.probes"}},
	{"breaker", []string{"chaos[2].at=2s"}, // 300/s × 40 ms = 12 calls are in progress when it opens
		[]string{"claims[1].breaker.failures"}},
	{"breaker", []string{"chaos[1].for=300ms", "chaos[2].for=100ms", "load.rate=480/s"}, // the first probe is due 1 s after the fault began
		[]string{"claims[1].breaker.probes"}},
	{"breaker", []string{"load.duration=4600ms"}, // healed at 4.5 s
		[]string{"claims[1].breaker.closes_within"}},
	{"breaker", []string{"load.duration=2700ms", "chaos[1].for=300ms", "chaos[2].for=100ms"}, // it opens at 2.0 s and waits until 3.0 s
		[]string{"claims[1].breaker.waits", "claims[1].breaker.probes", "claims[1].breaker.rejects_within", "claims[1].breaker.closes_within"}},
	{"breaker", []string{"claims[1].breaker.ignores=[404, 409]"},
		[]string{"claims[1].breaker.ignores[1]"}},
	{"breaker", []string{"chaos[0].at=2500ms"}, // while 503 keeps the breaker open
		[]string{"claims[1].breaker.ignores[0]"}},
	{"breaker", []string{"chaos[0].at=7900ms", "chaos[0].for=100ms"}, // too late to see whether it opens on them
		[]string{"claims[1].breaker.ignores[0]"}},
	{"breaker", []string{"chaos[1].errors.share=50%"}, // successes come between the failures
		[]string{"claims[1].breaker.failures"}},
	{"breaker", []string{"chaos[0].at=50ms"}, // 400/s × 50 ms = 20 requests, 30 are needed
		[]string{"claims[0].steady"}},
	{"breaker", []string{"chaos[0].errors.share=0.01%"}, // 160 calls × 0.0001
		[]string{"chaos[0]", "claims[1].breaker.ignores[0]"}},

	{"retry", nil, nil},
	{"retry", []string{"chaos[0].for=200ms"}, // the waits are 62, 125, 250 and 250 ms: the third attempt comes at 187 ms, the fourth at 437
		[]string{"claims[1].retry.attempts", "claims[2].backoff.cap", "claims[2].backoff.factor", "claims[2].backoff.jitter",
			"claims[2].backoff.law"}},
	{"retry", []string{"chaos[0].for=60ms"}, // 400/s × 60 ms = 24 first waits, 50 are needed
		[]string{"claims[1].retry.attempts", "claims[2].backoff.base"}},
	{"retry", []string{"chaos[0].errors.share=20%"}, // 400 calls × 0.2 = 80 first waits, × 0.2² = 15 second ones, × 0.2⁵ is none
		[]string{"claims[1].retry.attempts", "claims[2].backoff.cap", "claims[2].backoff.factor", "claims[2].backoff.jitter",
			"claims[2].backoff.law"}},
	{"retry", []string{"claims[1].retry.attempts=4", "targets.orders.with.retries=3"}, // wait number 3 is the first as long as the cap, and the last
		[]string{"claims[2].backoff.cap"}},
	{"retry", []string{"claims[1].retry.never=[400, 404, 409]"},
		[]string{"claims[1].retry.never[2]"}},
	{"retry", []string{"chaos[2].errors.status=400"}, // 400 is not retried, whatever its Retry-After
		[]string{"claims[2].backoff.retry_after"}},
	{"retry", []string{"load.timeout=300ms"}, // callers are gone before the fourth attempt, and before a Retry-After of 1 s is over
		[]string{"claims[1].retry.attempts", "claims[2].backoff.cap", "claims[2].backoff.factor", "claims[2].backoff.retry_after"}},
	{"retry", []string{"claims[2].backoff.herd=4"}, // 400/s × 10 ms = 4 calls at one instant, 30 are needed
		[]string{"claims[2].backoff.herd"}},
	{"retry", []string{"claims[1].retry.amplification=4", "chaos[0].for=40ms", "chaos[1].for=40ms", "chaos[2].for=40ms"}, // 16 requests
		[]string{"claims[1].retry.attempts", "claims[1].retry.amplification", "claims[2].backoff.base"}},
	{"post", nil, []string{"claims[1].retry.attempts"}},
	{"refused", nil, []string{"claims[1].retry.attempts", "claims[2].backoff.base"}},
	{"herd", nil, nil},
	{"herd", []string{"load.rate=140/s"}, // 140/s × 150 ms = 21 calls in flight, 30 are needed
		[]string{"claims[1].backoff.herd"}},

	{"bulkhead", nil, nil},
	{"bulkhead", []string{"load.rate=60/s", "load.duration=7s", "chaos[0].at=2500ms", "chaos[0].for=2s"}, // 30/s × 0.4 s = 12 of 20 places; 60 of the other route
		[]string{"claims[1].bulkhead.goodput", "claims[1].bulkhead.limit", "claims[1].bulkhead.rejects_within"}},
	{"bulkhead", []string{"chaos[0].at=200ms"}, // 200/s × 0.2 s = 40 requests of each before it, 50 are needed
		[]string{"claims[1].bulkhead.unaffected[0]", "claims[1].bulkhead.freed_within", "claims[1].bulkhead.leaks"}},
	{"bulkhead", []string{"load.duration=2200ms"}, // healed at 2 s
		[]string{"claims[1].bulkhead.freed_within", "claims[1].bulkhead.leaks"}},
	{"failing", nil, []string{"claims[1].bulkhead.limit", "claims[1].bulkhead.rejects_within"}},
	{"brief", nil, []string{"claims[1].bulkhead.limit", "claims[1].bulkhead.rejects_within"}}, // 200/s × 30 ms = 6 of 20 places

	{"timeout", nil, nil},
	{"timeout", []string{"chaos[0].for=400ms"}, // shorter than the bound of 500 ms
		[]string{"claims[1].timeout.within"}},
	{"timeout", []string{"load.timeout=200ms"}, // gives up before the bound
		[]string{"claims[1].timeout.within"}},
	{"timeout", []string{"load.duration=2200ms"}, // healed at 2 s
		[]string{"claims[2].recovery.within"}},
	{"timeout", []string{"chaos[0].at=100ms"}, // 200/s × 0.1 s = 20 requests, 30 are needed
		[]string{"claims[0].steady", "claims[2].recovery"}},
	{"patient", nil, []string{"claims[1].timeout.within", "claims[2].recovery"}},
	{"fading", nil, []string{"claims[2].recovery.load"}},
	{"unwired", nil, []string{"links.payments"}},
}

func (p plan) path() string { return filepath.Join("testdata", "power", p.file+".yaml") }

// Each plan is warned of what it cannot decide, and of nothing else.
func TestWeakPlans(t *testing.T) {
	weak := 0
	for _, p := range weakPlans {
		_, found, err := loadExperiment(p.path(), p.set)
		if err != nil {
			t.Errorf("%s: %v", p, err)
			continue
		}
		var paths []string
		for _, w := range found {
			paths = append(paths, w.Path)
			if w.Why == "" || w.Turn == "" || w.File == p.path() && (w.Line == 0 || w.Column == 0) {
				t.Errorf("%s: %+v lacks its place, why, or what to turn", p, w)
			}
		}
		want := slices.Clone(p.weak)
		slices.Sort(want)
		slices.Sort(paths)
		if diff := cmp.Diff(want, paths); diff != "" {
			t.Errorf("%s (-want +got):\n%s%s", p, diff, fmt.Sprint(found))
		}
		if len(want) > 0 {
			weak++
		}
	}
	if weak < 30 {
		t.Errorf("%d weak plans, want at least 30", weak)
	}
}

// No example is warned of anything: all of them come out as they must.
func TestExamplesHavePower(t *testing.T) {
	for _, c := range rulingCases(t) {
		if c.refutes != "" {
			continue // the same plans with a flaw
		}
		_, weak, err := loadExperiment(c.file, c.set)
		if err != nil {
			t.Errorf("%s: %v", c, err)
		}
		for _, w := range weak {
			t.Errorf("%s: %s", c, w)
		}
	}
}

// What a plan is warned of comes out inconclusive on a quiet machine, and what it
// is not warned of is decided.
func TestPowerAgainstRuns(t *testing.T) {
	if *powerRounds == 0 {
		t.Skip("run it with make power")
	}
	only, err := regexp.Compile(*rulingOnly)
	if err != nil {
		t.Fatal(err)
	}
	for round := range *powerRounds {
		for i, p := range weakPlans {
			if !only.MatchString(p.String()) {
				continue
			}
			t.Run(p.String(), func(t *testing.T) {
				r := p.run(t, 100*round+i+1)
				for _, wrong := range p.compare(r) {
					t.Error(wrong)
				}
				if !r.Harness.Healthy {
					t.Logf("the harness was not healthy: %+v", r.Harness)
				}
			})
		}
	}
}

// run runs the plan as a user does.
func (p plan) run(t *testing.T, seed int) (r result.Result) {
	t.Helper()
	args := []string{"run", p.path(), "--json", "--quiet", "--out", filepath.Join(t.TempDir(), "run"), "--seed", fmt.Sprint(seed)}
	for _, s := range p.set {
		args = append(args, "--set", s)
	}
	out, err := exec.CommandContext(t.Context(), "stormctl", args...).Output()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	if e := json.Unmarshal(out, &r); e != nil {
		t.Fatalf("%v, no result: %v", err, e)
	}
	return r
}

// covers are the keys that a weakness of another one may leave open too: where
// there is no first wait, there is nothing to tell of how waits are made.
var covers = map[string][]string{"base": {"factor", "cap", "jitter", "law"}, "attempts": {"on"}}

// compare says what did not come out as the plan was warned of. Parts without a
// name cannot be told apart: then the ruling of their claim must do.
func (p plan) compare(r result.Result) (wrong []string) {
	all := slices.ContainsFunc(p.weak, func(path string) bool {
		return !strings.HasPrefix(path, "claims[") || strings.HasSuffix(path, ".steady") // nothing is injected then
	})
	for i, v := range r.Verdicts {
		at := fmt.Sprintf("claims[%d].%s", i, v.Kind)
		warned, may := map[string]bool{}, map[string]bool{}
		for _, path := range p.weak {
			if part, ok := strings.CutPrefix(path, at); ok {
				part, _, one := strings.Cut(strings.TrimPrefix(part, "."), "[")
				warned[part] = true
				may[part] = one // others of the list may be decided
				for _, more := range covers[part] {
					may[more] = true
				}
			}
		}
		open := all || len(warned) > 0
		if (v.Ruling == judge.Inconclusive) != open || v.Ruling == judge.Refuted {
			wrong = append(wrong, fmt.Sprintf("%s is %s, warned of %v: %s", at, v.Ruling, p.weak, v.Reason))
		}
		if all || warned[""] {
			continue
		}
		shown := map[string]bool{} // of which some may be decided, those that are open
		for _, part := range v.Parts {
			switch open := part.Ruling == judge.Inconclusive; {
			case part.Name == "" || part.Note:
			case may[part.Name]:
				shown[part.Name] = shown[part.Name] || open
			case open != warned[part.Name]:
				wrong = append(wrong, fmt.Sprintf("%s.%s is %s, warned of %v: %s", at, part.Name, part.Ruling, p.weak, part.Reason))
			}
		}
		for name, open := range shown {
			if warned[name] && !open {
				wrong = append(wrong, fmt.Sprintf("no part of %s.%s is inconclusive, warned of %v", at, name, p.weak))
			}
		}
	}
	return wrong
}

func TestComparePower(t *testing.T) {
	part := func(name string, r judge.Ruling) judge.Part { return judge.Part{Name: name, Ruling: r} }
	breaker := func(r judge.Ruling, parts ...judge.Part) result.Result {
		return result.Result{Verdicts: []judge.Verdict{{Kind: "breaker", Ruling: r, Parts: parts}}}
	}
	for _, c := range []struct {
		name   string
		weak   []string
		result result.Result
		wrong  int
	}{
		{"decided, as it should", nil, breaker(judge.Held, part("waits", judge.Held)), 0},
		{"open without a warning", nil, breaker(judge.Inconclusive, part("waits", judge.Inconclusive)), 2},
		{"open as warned", []string{"claims[0].breaker.waits"},
			breaker(judge.Inconclusive, part("waits", judge.Inconclusive), part("opens", judge.Held)), 0},
		{"held despite the warning", []string{"claims[0].breaker.waits"}, breaker(judge.Held, part("waits", judge.Held)), 2},
		{"another part is open", []string{"claims[0].breaker.waits"},
			breaker(judge.Inconclusive, part("waits", judge.Inconclusive), part("opens", judge.Inconclusive)), 1},
		{"one of a list", []string{"claims[0].breaker.ignores[1]"}, breaker(judge.Inconclusive, part("ignores", judge.Inconclusive)), 0},
		{"one of a list, and the other decided", []string{"claims[0].breaker.ignores[1]"},
			breaker(judge.Inconclusive, part("ignores", judge.Held), part("ignores", judge.Inconclusive)), 0},
		{"one of a list, decided", []string{"claims[0].breaker.ignores[1]"},
			breaker(judge.Inconclusive, part("ignores", judge.Held), part("waits", judge.Inconclusive)), 2},
		{"all of it", []string{"claims[0].breaker"}, breaker(judge.Inconclusive, part("waits", judge.Held)), 0},
		{"all of the run", []string{"links.a"}, breaker(judge.Inconclusive), 0},
		{"nothing was injected", []string{"claims[1].steady"}, breaker(judge.Inconclusive), 0},
		{"parts without names", []string{"claims[0].breaker.waits"}, breaker(judge.Inconclusive, part("", judge.Held)), 0},
		{"refuted", nil, breaker(judge.Refuted), 1},
	} {
		if got := (plan{weak: c.weak}).compare(c.result); len(got) != c.wrong {
			t.Errorf("%s: %d wrong, want %d: %q", c.name, len(got), c.wrong, got)
		}
	}
}

// The text of the rows of a dry run and of the lines of validate and run.
func TestWeakRows(t *testing.T) {
	file := filepath.Join(t.TempDir(), "weak.yaml")
	text, err := os.ReadFile(plan{file: "breaker"}.path())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "duration: 8s", "duration: 4600ms", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	_, weak, err := loadExperiment(file, nil)
	if err != nil || len(weak) != 1 {
		t.Fatalf("%v, error %v, want one", weak, err)
	}
	const why, turn = "the load ends 100 ms after the healing, too soon to see whether it closes within 2.0 s",
		"leave 2.4s or more after the healing at 4.5 s"
	want := [][]string{{"claims[1].breaker.closes_within", why}, {"", turn + " (load.duration)"}}
	if diff := cmp.Diff(want, weakRows(weak)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := weak[0].String(), file+":29:7: warning: claims[1].breaker.closes_within cannot be decided: "+why+": "+turn; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
