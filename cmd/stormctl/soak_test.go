//go:build linux

package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

// soakFile is a soak whose dependency fails for a while in each chapter, and in the
// seventh of each ten is slow for so many requests that a claim is refuted, by more than
// a busy host explains, and no other. haproxy is its system, as it takes the least of the
// cores that all of it shares.
func soakFile() string {
	every := *soakEvery
	text := fmt.Sprintf(`name: soak
targets:
  bank: {reference: dependency}
  checkout:
    process:
      command: [/usr/sbin/haproxy, -db, -f, "${dir}/haproxy.cfg"]
      ready: /local
      files:
        haproxy.cfg: |
          global
            nbthread 1
            maxconn 8000
          defaults
            mode http
            timeout connect 1s
            timeout client 10s
            timeout server 5s
          frontend callers
            bind ${addr}
            http-request return status 200 if { path /local }
            default_backend payments
          backend payments
            option httpchk GET /healthz
            server s1 ${links.payments.addr} check inter 500ms rise 2 fall 100 observe layer7 error-limit 10 on-error mark-down
links: {payments: {from: checkout, to: bank}}
load:
  rate: %d/s
  duration: %s
  timeout: 2s
  connections: 256
  routes: [{name: pay, to: checkout, get: /payments, weight: 9}, {name: browse, to: checkout, get: /local}]
claims:
  - steady: {success: 95%%}
  - breaker: {link: payments, route: pay, opens_within: 2s, closes_within: 3s}
  - steady: {p99: 300ms, over: %s}
chaos:
  - {at: %s, for: %s, every: %s, on: payments, errors: {status: 503}}
`, *soakRate, *soakFor, every, every/12, every/20, every)
	for k := 0; time.Duration(k+1)*every <= *soakFor; k++ {
		if from := time.Duration(k) * every; badChapter(from) {
			text += fmt.Sprintf("  - {name: bad %d, at: %s, for: %s, on: payments, latency: {delay: 1s, share: 2.5%%}}\n",
				k+1, from+every/4, every*2/3)
		}
	}
	return text
}

// badChapter reports whether the chapter is bad that begins at a time, or is gone on with at it.
func badChapter(from time.Duration) bool { return from / *soakEvery % 10 == 6 }

// A soak of some length keeps its promises: its process does not grow, its directory
// stays within what was told, a kill costs a second of what was recorded and the chapters
// that it cut, and no other, and a bad chapter in ten is refuted and its evidence kept.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("it takes as long as -soak says")
	}
	dir := t.TempDir()
	file, out := filepath.Join(dir, "soak.yaml"), filepath.Join(dir, "out")
	if err := os.WriteFile(file, []byte(soakFile()), 0o600); err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("moments of seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	began := time.Now()
	var kills []time.Time
	args := []string{"run", file, "--out", out}
	var bound int64
	for {
		left := *soakFor - time.Since(began)
		kill := time.Duration(-1)
		if n := *soakKills - len(kills); n > 0 {
			kill = time.Duration(float64(left) * (0.2 + 0.6*rng.Float64()) / float64(n))
		}
		code, killed, told := soakPart(t, args, kill, began)
		bound = max(bound, told)
		size := treeSize(t, out)
		t.Logf("after %s: %d MiB of at most %d", time.Since(began).Round(time.Second), size>>20, bound>>20)
		if size > bound {
			t.Errorf("the run directory has %d bytes, and at most %d were told", size, bound)
		}
		if killed.IsZero() {
			if code == int(exitFailed) || code == int(exitStopped) {
				t.Errorf("exit code %d", code)
			}
			break
		}
		kills = append(kills, killed)
		args = []string{"run", "--resume", out}
	}
	soakResult(t, out, kills)
}

// soakPart runs a part of a soak that began at a time until it ends, or is killed after a while. From
// its second minute on, until the load ends, what is resident is level within 2 MiB either way. In a
// bad chapter there are a hundred requests more at a time, and connections for them, which the load
// keeps: behind it, after another chapter, there is a level of its own. It returns the exit code, when
// it was killed, and the bound that was told.
func soakPart(t *testing.T, args []string, kill time.Duration, soakBegan time.Time) (code int, killed time.Time, bound int64) {
	t.Helper()
	cmd := exec.Command("stormctl", args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	began := time.Now()
	levels, inBad := make([]extent, 1), extent{}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			code = cmd.ProcessState.ExitCode()
			t.Logf("%s: resident set in KiB from the second minute on %v, in bad chapters and behind them %v; exit code %d",
				strings.Join(args, " "), levels, inBad, code)
			for _, level := range levels {
				if level.most-level.least > 4<<10 {
					t.Errorf("the resident set is not flat: %v KiB", level)
				}
				if from := levels[0].most; from > 0 && max(level.most, inBad.most) > from+16<<10 {
					t.Errorf("a bad chapter took the resident set to %v KiB, and %v behind it", inBad, level)
				}
			}
			told := regexp.MustCompile(`run directory at most (\d+) (MiB|GiB)`).FindSubmatch(said.Bytes())
			if told == nil {
				t.Fatalf("no bound was told:\n%s", said.Bytes()[:min(said.Len(), 2000)])
			}
			bound, _ = strconv.ParseInt(string(told[1]), 10, 64) // digits
			bound <<= map[string]int64{"MiB": 20, "GiB": 30}[string(told[2])]
			return code, killed, bound
		case <-ticker.C:
		}
		rss, at := residentOf(cmd.Process.Pid), time.Since(soakBegan)
		switch {
		case rss == 0 || time.Since(began) < time.Minute || at > *soakFor:
		case badChapter(at) || badChapter(at-*soakEvery):
			inBad.take(rss)
			if levels[len(levels)-1] != (extent{}) {
				levels = append(levels, extent{})
			}
		default:
			levels[len(levels)-1].take(rss)
		}
		if kill >= 0 && killed.IsZero() && time.Since(began) > kill {
			killed = time.Now()
			_ = cmd.Process.Kill() // it may have ended
		}
	}
}

// extent is the least and the most of what was taken; both 0 if nothing was.
type extent struct{ least, most int64 }

func (e *extent) take(n int64) {
	if *e == (extent{}) {
		e.least = n
	}
	e.least, e.most = min(e.least, n), max(e.most, n)
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

// soakResult looks at what a soak came to that was killed at these moments.
func soakResult(t *testing.T, out string, kills []time.Time) {
	t.Helper()
	run, err := evidence.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Gaps) != len(kills) {
		t.Fatalf("%d gaps of %d kills: %v", len(run.Gaps), len(kills), run.Gaps)
	}
	missed := time.Duration(0)
	for i, g := range run.Gaps {
		from, to := g.From.Duration(), g.To.Duration()
		lost := kills[i].Sub(run.Started) - from
		t.Logf("gap from %s to %s: %s before the kill are lost", from, to, lost.Round(time.Millisecond))
		if lost > time.Second+leastLate {
			t.Errorf("a kill cost %s of what was recorded", lost)
		}
		missed += to - from
	}
	var requests uint64
	r := rulingsOf(t, out)
	for _, route := range r.Routes {
		requests += route.Requests
	}
	due := (*soakFor - missed).Seconds() * float64(*soakRate)
	t.Logf("%d requests of %.0f that were due outside of gaps", requests, due)
	if off := math.Abs(float64(requests) - due); off > float64(*soakRate)*leastLate.Seconds()*float64(1+len(kills)) {
		t.Errorf("%d requests, want %.0f", requests, due)
	}
	soakChaptersAre(t, out, run.Gaps, r.Chapters.Kept)
}

// leastLate is by how much a second may be written late, and how long a request that
// was under way when a second ended may take.
const leastLate = 200 * time.Millisecond

// soakChaptersAre looks at what the chapters came to: of those that no gap has touched each
// bad one is refuted, by the claim that it breaks alone, and its evidence kept, and no
// other is refuted or blank.
func soakChaptersAre(t *testing.T, out string, gaps []evidence.Gap, kept []int) {
	t.Helper()
	entries, err := chapters.Entries(out)
	if err != nil {
		t.Fatal(err)
	}
	const open = 4 * time.Second // for so long a chapter is open after its end
	var count [judge.Refuted + 1]int
	for _, e := range entries {
		count[e.Ruling]++
		touched := slices.ContainsFunc(gaps, func(g evidence.Gap) bool {
			return g.From.Duration() < e.To.Duration()+open && g.To >= e.From
		})
		where := fmt.Sprintf("chapter %d (%s to %s): %s", e.Number, e.From, e.To, e.Ruling)
		if e.Blank != "" {
			where += ": " + e.Blank
		}
		for i, v := range e.Verdicts {
			if v.Ruling == judge.Held {
				continue
			}
			where += fmt.Sprintf("; %s %s: %s", v.Name, v.Ruling, v.Reason)
			if v.Ruling == judge.Refuted && (i != len(e.Verdicts)-1 || !badChapter(e.From.Duration())) {
				t.Errorf("%s is refuted of a system that is sound", v.Name)
			}
		}
		if e.Ruling != judge.Held {
			t.Log(where)
		}
		if bad := badChapter(e.From.Duration()) && !touched; bad && (e.Ruling != judge.Refuted || !slices.Contains(kept, e.Number)) {
			t.Errorf("it is bad, and %s; the evidence of %v is kept", e.Ruling, kept)
		} else if e.Blank != "" && !touched {
			t.Errorf("chapter %d is blank, and no gap has touched it", e.Number)
		}
	}
	t.Logf("%d chapters held, %d inconclusive, %d refuted; the evidence of %v is kept", count[0], count[1], count[2], kept)
}
