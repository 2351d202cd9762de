package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

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
	Claims     string
	Experiment string // a file that claims what was found
}

func (f found) row(name string) (discover.Row, bool) {
	i := slices.IndexFunc(f.Found, func(r discover.Row) bool { return r.Name == name })
	if i < 0 {
		return discover.Row{}, false
	}
	return f.Found[i], true
}

// discovers lets discover measure a reference frontend with these settings.
func discovers(t *testing.T, with, method string, flags ...string) found {
	t.Helper()
	dir := t.TempDir()
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
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	command := exec.Command("stormctl", append([]string{"discover", file, "--json", "--quiet", "--out", filepath.Join(dir, "trials")}, flags...)...)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if stderr.Len() > 0 {
		t.Errorf("--quiet, and it says %q", stderr.String())
	}
	var f found
	if err := json.Unmarshal(stdout.Bytes(), &f); err != nil {
		t.Fatalf("%v\n%s", err, stdout.String())
	}
	head, _, _ := strings.Cut(text, "claims:")
	if _, err := experiment.Parse("pasted", []byte(head+f.Claims), experiment.Options{}); err != nil {
		t.Errorf("what it says to paste: %v\n%s", err, f.Claims)
	}
	return f
}

// TestDiscoverPasted runs what discover says to paste: it is held, and refuted once the
// service is set otherwise (make discover).
func TestDiscoverPasted(t *testing.T) {
	for seed := range *discoverRounds {
		for _, c := range []struct{ name, with, change, kind string }{
			{"timeout", "timeout: 1s", "timeout=3s", "timeout"},
			{"gobreaker", "breaker: gobreaker, failures: 5, open: 2s", "open=3s", "breaker"},
			{"cenkalti", "retry: cenkalti, retries: 3, base: 100ms, factor: 2, jitter: 50%", "retries=4", "retry"},
			{"retryablehttp", "retry: retryablehttp, retries: 2, base: 80ms, factor: 2, jitter: 50%", "base=100ms", "backoff"},
			{"semaphore", "bulkhead: semaphore, limit: 20", "limit=24", "bulkhead"},
		} {
			t.Run(fmt.Sprintf("%s/%d", c.name, seed+1), func(t *testing.T) {
				t.Parallel()
				f := discovers(t, c.with, "get", "--seed", fmt.Sprint(seed+1))
				if !strings.Contains(f.Claims, c.kind+":") {
					t.Logf("no %s is claimed:\n%s", c.kind, f.Claims)
				}
				for _, v := range runsPasted(t, f, seed+1) {
					if tellVerdict(t, c.with, v); v.Ruling == judge.Refuted {
						t.Errorf("%s is refuted: %s", v.Kind, v.Reason)
					}
				}
				for _, v := range runsPasted(t, f, seed+1, "--set", "targets.shop.with."+c.change) {
					if v.Kind != c.kind {
						continue
					}
					if tellVerdict(t, c.change, v); v.Ruling == judge.Held {
						t.Errorf("%s is held with %s: %s", v.Kind, c.change, v.Reason)
					}
				}
			})
		}
	}
}

// runsPasted runs the experiment that claims what was found.
func runsPasted(t *testing.T, f found, seed int, flags ...string) []judge.Verdict {
	t.Helper()
	args := append([]string{"run", f.Experiment, "--json", "--quiet", "--seed", fmt.Sprint(seed),
		"--out", filepath.Join(t.TempDir(), "run")}, flags...)
	printed, err := exec.Command("stormctl", args...).Output()
	var r result.Result
	if e := json.Unmarshal(printed, &r); e != nil {
		t.Fatalf("%v: %v\n%s", args, err, printed)
	}
	return r.Verdicts
}

// tellVerdict logs what became of a pasted claim, and why where it was left open.
func tellVerdict(t *testing.T, with string, v judge.Verdict) {
	t.Helper()
	why := ""
	if v.Ruling == judge.Inconclusive {
		why = ": " + v.Reason
	}
	t.Logf("pasted, %s: %s %s%s", with, v.Kind, v.Ruling, why)
}

// contains checks that an interval holds the setting.
func (f found) contains(t *testing.T, name string, want float64) {
	t.Helper()
	row, ok := f.row(name)
	if !ok || row.Figure == nil || row.Figure.Low > want || row.Figure.High < want {
		t.Errorf("%s: got %+v, want %g in it", name, row, want)
	}
}

// TestDiscoverInventsNothing measures a service with a timeout and nothing else.
func TestDiscoverInventsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("three trials, 54 s")
	}
	t.Parallel()
	for seed := range max(1, *discoverRounds) {
		t.Run(fmt.Sprint(seed+1), func(t *testing.T) {
			t.Parallel()
			f := discovers(t, "timeout: 1s", "get", "--seed", fmt.Sprint(seed+1))
			f.contains(t, "timeout of a call", 1000)
			f.contains(t, "attempts", 1)
			plain := implementation{lacks: nothing, says: map[string]string{
				"breaker": "none seen", "fallback": "none seen", "calls in progress": "no bound seen", "not retried": "503",
				"retried after a timeout": "never",
			}}
			if miss := plain.misses(f); miss != "" {
				t.Error(miss)
			}
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
	var seen sync.Map // what was found of a service first
	for seed := range *discoverRounds {
		for _, c := range measuredServices {
			t.Run(fmt.Sprintf("%s/%d", c.name, seed+1), func(t *testing.T) {
				t.Parallel()
				f := discovers(t, c.with, c.method, "--seed", fmt.Sprint(seed+1))
				for name, want := range c.figures {
					f.contains(t, name, want)
				}
				if miss := (implementation{lacks: c.lacks}).misses(f); miss != "" {
					t.Error(miss)
				}
				if c.says != "" && !strings.Contains(strings.Join(f.Review, "\n"), c.says) {
					t.Errorf("the review is %q, want %q in it", f.Review, c.says)
				}
				if before, ok := seen.LoadOrStore(c.name, f); ok {
					if difference := disagrees(before.(found), f); difference != "" {
						t.Errorf("it differs from another seed:%s", difference)
					}
				}
				t.Logf("%s\n%s", strings.Join(f.Review, "\n"), f.Claims)
			})
		}
	}
}
