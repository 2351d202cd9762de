//go:build linux

package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/chapters"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
)

// make soak: 20 minutes at 5,000/s with chaos every minute, killed and resumed.
var (
	soakFor   = flag.Duration("soak", 0, "length of a soak that is run and measured; 0 is none")
	soakRate  = flag.Int("soak-rate", 5000, "its rate, per second")
	soakEvery = flag.Duration("soak-every", time.Minute, "after how long its faults repeat")
	soakKills = flag.Int("soak-kills", 3, "random moments at which it is killed by SIGKILL, and resumed")
)

// A soak of some length keeps its promises: its process does not grow, its directory
// stays within what was told, and a kill costs the chapters that it cut, and no other.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("it takes as long as -soak says")
	}
	dir := t.TempDir()
	file, out := filepath.Join(dir, "soak.yaml"), filepath.Join(dir, "out")
	text := fmt.Sprintf(`name: soak
targets: {bank: {reference: dependency}, checkout: {reference: frontend, with: {breaker: gobreaker, failures: 5, open: 1s}}}
links: {payments: {from: checkout, to: bank}}
load: {rate: %d/s, duration: %s, timeout: 1s, routes: [{name: pay, to: checkout, get: /payments, weight: 9}, {name: browse, to: checkout, get: /local}]}
chaos: [{at: 5s, for: 3s, every: %s, on: payments, errors: {status: 503}}]
claims:
  - steady: {success: 99%%, p99: 500ms}
  - breaker: {link: payments, route: pay, opens_within: 2s, waits: 1s, closes_within: 5s}
`, *soakRate, *soakFor, *soakEvery)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("moments of seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	began, kills := time.Now(), 0
	args := []string{"run", file, "--out", out}
	var bound int64
	for {
		left := *soakFor - time.Since(began)
		kill := time.Duration(-1)
		if kills < *soakKills {
			kill = time.Duration(float64(left) * (0.2 + 0.6*rng.Float64()) / float64(*soakKills-kills))
		}
		code, told := soakPart(t, args, kill)
		bound = max(bound, told)
		size := treeSize(t, out)
		t.Logf("after %s: %d MiB of at most %d", time.Since(began).Round(time.Second), size>>20, bound>>20)
		if size > bound {
			t.Errorf("the run directory has %d bytes, and at most %d were told", size, bound)
		}
		if code >= 0 {
			if code != 0 && code != 3 {
				t.Errorf("exit code %d", code)
			}
			break
		}
		kills++
		args = []string{"run", "--resume", out}
	}
	soakResult(t, out, kills)
}

// soakPart runs a part of a soak until it ends, or is killed after a while. It returns
// the exit code, -1 of one that was killed, and the bound that was told.
func soakPart(t *testing.T, args []string, kill time.Duration) (code int, bound int64) {
	t.Helper()
	cmd := exec.Command("stormctl", args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	began, killed := time.Now(), false
	least, most := int64(0), int64(0)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			if code = cmd.ProcessState.ExitCode(); killed {
				code = -1
			}
			t.Logf("%s: resident set %d to %d KiB from the second minute on; exit code %d", strings.Join(args, " "), least, most, code)
			if most-least > 4<<10 {
				t.Errorf("the resident set is not flat: %d to %d KiB", least, most)
			}
			told := regexp.MustCompile(`run directory at most (\d+) (MiB|GiB)`).FindSubmatch(said.Bytes())
			if told == nil {
				t.Fatalf("no bound was told:\n%s", said.Bytes()[:min(said.Len(), 2000)])
			}
			bound, _ = strconv.ParseInt(string(told[1]), 10, 64) // digits
			bound <<= map[string]int64{"MiB": 20, "GiB": 30}[string(told[2])]
			return code, bound
		case <-ticker.C:
		}
		if rss := residentOf(cmd.Process.Pid); rss > 0 && time.Since(began) > time.Minute {
			if least == 0 {
				least = rss
			}
			least, most = min(least, rss), max(most, rss)
		}
		if kill >= 0 && !killed && time.Since(began) > kill {
			killed = true
			_ = cmd.Process.Kill() // it may have ended
		}
	}
}

// residentOf is the resident set of a process in KiB; 0 if it is gone.
func residentOf(pid int) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

func treeSize(t *testing.T, dir string) (sum int64) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}

// soakResult looks at what a soak came to that was killed so often: no chapter is
// refuted, and each kill costs two chapters at most for each that was open.
func soakResult(t *testing.T, out string, kills int) {
	t.Helper()
	entries, err := chapters.Entries(out)
	if err != nil {
		t.Fatal(err)
	}
	var count [judge.Refuted + 1]int
	for _, e := range entries {
		count[e.Ruling]++
		if e.Ruling != judge.Held {
			t.Logf("chapter %d (%s to %s): %s: %s", e.Number, e.From, e.To, e.Ruling, e.Verdicts[0].Reason)
		}
	}
	t.Logf("%d chapters held, %d inconclusive, %d refuted", count[0], count[1], count[2])
	if count[judge.Refuted] > 0 {
		t.Errorf("%d chapters of a sound system are refuted", count[judge.Refuted])
	}
	run, err := evidence.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Gaps) != kills {
		t.Errorf("%d gaps of %d kills: %v", len(run.Gaps), kills, run.Gaps)
	}
	for _, g := range run.Gaps {
		t.Logf("gap from %s to %s", g.From, g.To)
	}
}
