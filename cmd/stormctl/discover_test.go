package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/discover"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

var discoverRounds = flag.Int("discover", 0, "let discover measure each reference service so many times: on a quiet machine")

func TestDiscoverRefuses(t *testing.T) {
	mine := filepath.Join(t.TempDir(), "experiment.yaml")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if text, err := os.ReadFile(mine); err != nil || string(text) != "mine" {
			t.Errorf("the experiment of somebody has become %q, %v", text, err)
		}
	}()
	for _, c := range []struct{ args, want string }{
		{"", "give FILE, or --url"},
		{"../../examples/breaker.yaml --url http://127.0.0.1:1/", "FILE or --url, not both"},
		{"../../examples/breaker.yaml --link nope", "--link nope: the experiment has payments"},
		{"../../examples/breaker.yaml", "--route is missing: the experiment has pay, browse"},
		{"../../examples/breaker.yaml --link payments --route pay --quiet --out " + filepath.Dir(mine), "is there already"},
		{"--url nowhere", "a URL like"},
		{"--url http://127.0.0.1:1/ --rate 0", "--rate is at least 1"},
	} {
		var stdout, stderr bytes.Buffer
		if code := execute(append([]string{"discover"}, strings.Fields(c.args)...), &stdout, &stderr); code != exitFailed {
			t.Errorf("discover %s: exit code %d", c.args, code)
		}
		if !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
			t.Errorf("discover %s: got %q, want %q", c.args, stderr.String(), c.want)
		}
	}
}

// found is what discover prints with --json.
type found struct {
	Found      []discover.Row
	Review     []string
	Doubts     []string // where the harness was not well
	Claims     string
	Experiment string // a file that claims what was found
}

// row is the row of a name, or its part by "law base", for one.
func (f found) row(name string) (discover.Row, bool) {
	for _, r := range f.Found {
		if r.Name == name {
			return r, true
		}
		for _, part := range r.Parts {
			if r.Name+" "+part.Name == name {
				return part, true
			}
		}
	}
	return discover.Row{}, false
}

// discovers lets discover measure a reference frontend with these settings.
func discovers(ctx context.Context, dir, with, method string, seed int) (f found, err error) {
	file := filepath.Join(dir, "service.yaml")
	text := fmt.Sprintf(`name: service
targets:
  bank: {reference: dependency, with: {service_time: 2ms}}
  shop: {reference: frontend, with: {%s}}
links: {bank: {from: shop, to: bank}}
load: {rate: 1/s, duration: 1s, routes: [{name: pay, to: shop, %s: /bank}]}
claims: [{recovery: {route: pay, within: 1s}}]
`, with, method)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return f, err
	}
	if f, err = discoverBy(ctx, dir, file, "--seed", fmt.Sprint(seed)); err != nil {
		return f, err
	}
	head, _, _ := strings.Cut(text, "claims:")
	if _, err := experiment.Parse("pasted", []byte(head+f.Claims), experiment.Options{}); err != nil {
		return f, fmt.Errorf("what it says to paste: %w\n%s", err, f.Claims)
	}
	return f, nil
}

// discoverBy is what a discover with these arguments finds, as a user has it.
func discoverBy(ctx context.Context, dir string, args ...string) (f found, err error) {
	var stdout, stderr bytes.Buffer
	args = append([]string{"discover", "--json", "--quiet", "--out", filepath.Join(dir, "trials")}, args...)
	command := exec.CommandContext(ctx, "stormctl", args...)
	command.Stdout, command.Stderr = &stdout, &stderr
	command.WaitDelay = time.Minute // where it is killed, what it started ends by itself
	if err := command.Run(); err != nil {
		return f, fmt.Errorf("discover: %w\n%s", err, stderr.String())
	}
	if stderr.Len() > 0 {
		return f, fmt.Errorf("--quiet, and it says %q", stderr.String())
	}
	return f, json.Unmarshal(stdout.Bytes(), &f)
}

// TestDiscoverPasted runs what discover says to paste: it is held, and refuted once the
// service is set otherwise (make discover).
func TestDiscoverPasted(t *testing.T) {
	trials := seriesOf(t)
	for seed := range *discoverRounds {
		for _, c := range []pasted{
			{"timeout", "timeout: 1s", "timeout=3s", "timeout", `within: (1\.5|2|2\.5)s`},
			{"gobreaker", "breaker: gobreaker, failures: 5, open: 2s", "open=3s", "breaker", `waits: 2s`},
			{"cenkalti", "retry: cenkalti, retries: 3, base: 100ms, factor: 2, jitter: 50%", "retries=4", "retry", `attempts: 4`},
			{"retryablehttp", "retry: retryablehttp, retries: 2, base: 80ms, factor: 2, jitter: 50%", "base=100ms", "backoff", `base: `},
			{"semaphore", "bulkhead: semaphore, limit: 20", "limit=24", "bulkhead", `limit: 20`},
		} {
			trials.try(t, c.name, seed+1, func(ctx context.Context, dir string) trial { return c.run(ctx, dir, seed+1) })
		}
	}
}

// A pasted is a reference service, a change of it, and the kind of claim that then is
// false, if it says so much: beside other work a figure may be too wide to be claimed.
type pasted struct{ name, with, change, kind, says string }

// run has it measured, and runs the experiment that claims what was found, as the service
// is and changed.
func (p pasted) run(ctx context.Context, dir string, seed int) trial {
	f, err := discovers(ctx, dir, p.with, "get", seed)
	if err != nil {
		return trial{outcome: broken, detail: fmt.Sprintf("\n    %v", err)}
	}
	got := trial{outcome: right}
	says := regexp.MustCompile(`(?m)^ *- ` + p.kind + `: \{.*\b` + p.says).MatchString(f.Claims)
	if !says {
		law, _ := f.row("law")
		got = trial{outcome: leftOpen, detail: fmt.Sprintf("\n    no %s with %q is claimed (law: %s):\n%s", p.kind, p.says, law.Text, f.Claims)}
	}
	for _, c := range []struct {
		name  string
		kind  string // "" is all
		wrong judge.Ruling
		flags []string
	}{
		{"as-it-is", "", judge.Refuted, nil},
		{p.change, p.kind, judge.Held, []string{"--set", "targets.shop.with." + p.change}},
	} {
		verdicts, err := runsPasted(ctx, filepath.Join(dir, c.name), f, seed, c.flags...)
		if err != nil {
			return trial{outcome: broken, detail: fmt.Sprintf("\n    %v", err)}
		}
		for _, v := range verdicts {
			if c.kind != "" && (v.Kind != c.kind || !says) {
				continue
			}
			switch got.detail += fmt.Sprintf("\n    %s: %s %s", c.name, v.Kind, v.Ruling); v.Ruling {
			case c.wrong:
				got.outcome = wrong
				got.detail += ": " + v.Reason
			case judge.Inconclusive:
				got.outcome = max(got.outcome, leftOpen)
				got.detail += ": " + v.Reason
			}
		}
	}
	return got
}

// runsPasted runs the experiment that claims what was found.
func runsPasted(ctx context.Context, out string, f found, seed int, flags ...string) ([]judge.Verdict, error) {
	args := append([]string{"run", f.Experiment, "--json", "--quiet", "--seed", fmt.Sprint(seed), "--out", out}, flags...)
	command := exec.CommandContext(ctx, "stormctl", args...)
	command.WaitDelay = time.Minute
	printed, err := command.Output()
	var r result.Result
	if e := json.Unmarshal(printed, &r); e != nil {
		return nil, fmt.Errorf("%v: %w\n%s", args, errors.Join(err, e), printed)
	}
	return r.Verdicts, nil
}

// TestDiscoverInventsNothing measures a service with a timeout and nothing else.
func TestDiscoverInventsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("three trials, 54 s")
	}
	t.Parallel()
	trials := seriesOf(t)
	for seed := range max(1, *discoverRounds) {
		trials.try(t, "plain", seed+1, func(ctx context.Context, dir string) trial {
			f, err := discovers(ctx, dir, "timeout: 1s", "get", seed+1)
			return implementation{
				lacks: nothing, figures: map[string]float64{"timeout of a call": 1000, "attempts": 1},
				says: map[string]string{
					"breaker": "none seen", "fallback": "none seen", "calls in progress": "no bound seen", "not retried": "503",
					"retried after a timeout": "never",
				},
			}.compare(f, err)
		})
	}
}

// A measured is a reference service that discover is to know.
type measured struct {
	name, with, method string
	figures            map[string]float64
	says               string   // of the review
	lacks              []string // rows that it must not have
}

var measuredServices = []measured{
	{"gobreaker", "breaker: gobreaker, failures: 5, open: 2s", "get",
		map[string]float64{"breaker opens": 5, "open time": 2000, "probes": 1, "timeout of a call": 1000}, "", noRetry},
	{"failsafe", "breaker: failsafe, failures: 8, open: 3s", "get",
		map[string]float64{"breaker opens": 8, "open time": 3000, "probes": 1}, "", noRetry},
	{"long open time", "breaker: gobreaker, failures: 5, open: 12s", "get",
		map[string]float64{"breaker opens": 5, "open time": 12_000, "probes": 1}, "", noRetry},
	{"cenkalti", "retry: cenkalti, retries: 3, base: 100ms, factor: 2, jitter: 50%", "get", attempts(4), "", noBreaker},
	{"retryablehttp", "retry: retryablehttp, retries: 2, base: 80ms, factor: 2, jitter: 50%", "get", attempts(3), "", noBreaker},
	{"semaphore", "bulkhead: semaphore, limit: 20", "get", map[string]float64{"calls in progress": 20}, "", nothing},
	{"no timeout", "timeout: none", "get", nil, "no timeout was seen", nothing},
	{"no jitter", "retry: cenkalti, retries: 3, base: 100ms, flaw: no-jitter", "get", nil, "no jitter", noBreaker},
	{"no growth", "retry: cenkalti, retries: 3, base: 100ms, flaw: no-growth", "get", nil, "waits do not grow", noBreaker},
	{"immediate", "retry: cenkalti, retries: 3, base: 100ms, flaw: immediate", "get", nil, "retries come at once", noBreaker},
	{"retried POST", "retry: cenkalti, retries: 3, base: 100ms, flaw: retries-post", "post", nil, "POST is retried without", noBreaker},
	{"retried 400", "retry: cenkalti, retries: 3, base: 100ms, flaw: retries-400", "get", nil, "400 is retried", noBreaker},
	{"ignored Retry-After", "retry: cenkalti, retries: 3, base: 100ms, flaw: ignores-retry-after", "get", nil,
		"Retry-After is not heard", noBreaker},
	{"leaking bulkhead", "bulkhead: semaphore, limit: 20, flaw: leaks", "get", nil, "loses its places", noRetry},
	{"half-open flood", "breaker: gobreaker, failures: 5, open: 2s, flaw: half-open-flood", "get", nil, "half-open lets", noRetry},
	{"never opens", "breaker: gobreaker, failures: 5, open: 2s, flaw: never-opens", "get", nil, "no breaker was seen", nothing},
}

// TestDiscoverFinds measures the reference services with each library, and with one
// flaw each (make discover): a figure holds the setting, a flaw is said first, and
// seeds agree with each other.
func TestDiscoverFinds(t *testing.T) {
	var mu sync.Mutex
	before := map[string][]found{} // what was found of a service by other seeds
	trials := seriesOf(t)
	for seed := range *discoverRounds {
		for _, c := range measuredServices {
			trials.try(t, c.name, seed+1, func(ctx context.Context, dir string) trial {
				f, err := discovers(ctx, dir, c.with, c.method, seed+1)
				got := implementation{figures: c.figures, lacks: c.lacks}.compare(f, err)
				if err != nil {
					return got
				}
				got.differs(f.leavesOut(c.says))
				mu.Lock()
				defer mu.Unlock()
				for _, other := range before[c.name] {
					got.differs(disagrees(other, f))
				}
				before[c.name] = append(before[c.name], f)
				got.detail += fmt.Sprintf("\n%s\n%s", strings.Join(f.Review, "\n"), f.Claims)
				return got
			})
		}
	}
}
