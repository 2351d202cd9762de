package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/compare"
)

var (
	gateDuets  = flag.Int("gates", 0, "equal duets of TestGates")
	gateSlower = flag.Int("gates-slower", 0, "duets of TestGates with 10% added on one side")
	gateLength = flag.Duration("gates-length", 5*time.Second, "how long a duet of TestGates is")
	gateRounds = flag.Int("gate-rounds", 0, "gates of 5 + 5 rounds of TestGates, equal ones and as many with 10% added")
)

// gateExperiment is what TestGates runs: 10% of 5 ms are more than the tolerance of
// 0.2 ms, as 10% of 2 ms would not be.
const gateExperiment = `name: gate
targets:
  shop: {reference: dependency, with: {service_time: 5ms}}
load:
  rate: 400/s
  duration: %s
  routes: [{name: get, to: shop, get: /}]
claims:
  - steady: {route: get, success: 99%%, p99: 10s}
`

// gateTally counts what comparisons came to.
type gateTally struct {
	name                                string
	made, worse, same, undecided, broke int
	refused                             int // of undecided, by name
	p50Worse                            int // by the row alone, refused ones too
	failures                            string
	why                                 string // the first refusal
}

func (g *gateTally) add(c *compare.Comparison, err error) {
	g.made++
	if err != nil {
		g.broke++
		g.failures += "\n  " + err.Error()
		return
	}
	switch c.Ruling {
	case compare.Worse:
		g.worse++
	case compare.NotWorse:
		g.same++
	default:
		g.undecided++
	}
	if len(c.Refusals) > 0 {
		g.refused++
		g.why = cmp.Or(g.why, c.Refusals[0])
	}
	if c.Rows[0].Ruling == compare.Worse {
		g.p50Worse++
	}
}

const gateHeading = "comparisons of                      made  worse  not worse  undecided  (refused)  p50 worse  broken\n"

func (g gateTally) String() string {
	return fmt.Sprintf("%-35s %4d %6d %10d %10d %10d %10d %7d%s\n",
		g.name, g.made, g.worse, g.same, g.undecided, g.refused, g.p50Worse, g.broke, g.failures)
}

// The command line's own gates, many times: how often equal systems are called
// worse, and how often 10% more service time is found.
func TestGates(t *testing.T) {
	if *gateDuets+*gateSlower+*gateRounds == 0 {
		t.Skip("run it with make gates")
	}
	if *rulingBusy > 0 {
		defer keepCoresBusy(t, *rulingBusy)()
	}
	began, load := time.Now(), loadAverage()
	file := filepath.Join(t.TempDir(), "gate.yaml")
	write := func(duration string) {
		if err := os.WriteFile(file, fmt.Appendf(nil, gateExperiment, duration), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const slower = "5.5ms"
	duets := fmt.Sprintf("duets of %v, ", *gateLength)
	equal, changed := gateTally{name: duets + "equal"}, gateTally{name: duets + "+10%"}
	write(gateLength.String())
	for i := range max(*gateDuets, *gateSlower) { // both kinds see the same weather
		if i < *gateDuets {
			equal.add(runGate(t, file, "5ms", "--duet"))
		}
		if i < *gateSlower {
			changed.add(runGate(t, file, slower, "--duet"))
		}
	}
	write("4s")
	equalRounds, changedRounds := gateTally{name: "5 + 5 rounds of 4s, equal"}, gateTally{name: "5 + 5 rounds of 4s, +10%"}
	pairs, history := gateTally{name: "single pairs of 4s, equal"}, gateTally{name: "the same with a history of 4"}
	for range *gateRounds {
		dir := t.TempDir()
		equalRounds.add(runGate(t, file, "5ms", "--out", dir))
		for i := range 5 {
			old, now := fmt.Sprintf("%s/old-%d", dir, i+1), fmt.Sprintf("%s/new-%d", dir, i+1)
			pairs.add(comparison("compare", old, "--json", "--", now))
			with := []string{"compare", old, "--json"}
			for k := range 5 {
				if k != i {
					with = append(with, "--history", fmt.Sprintf("%s/old-%d", dir, k+1))
				}
			}
			history.add(comparison(append(with, "--", now)...))
		}
		changedRounds.add(runGate(t, file, slower))
	}
	fmt.Printf("\n%s to %s, %d cores kept busy, load average %s, at the end %s\n%s", began.Format("15:04"), time.Now().Format("15:04"),
		*rulingBusy, load, loadAverage(), gateHeading)
	for _, g := range []gateTally{equal, changed, equalRounds, changedRounds, pairs, history} {
		if g.made == 0 {
			continue
		}
		fmt.Print(g)
		if g.why != "" {
			t.Logf("%s, the first that was refused: %s", g.name, g.why)
		}
		if g.broke > 0 {
			t.Errorf("%s: %d were broken:%s", g.name, g.broke, g.failures)
		}
	}
	for _, g := range []gateTally{equal, equalRounds, pairs, history} {
		if 50*g.worse > g.made {
			t.Errorf("%s: %d of %d are called worse", g.name, g.worse, g.made)
		}
	}
}

// runGate gates the experiment against one with another service time.
func runGate(t *testing.T, file, service string, args ...string) (*compare.Comparison, error) {
	t.Helper()
	all := []string{"gate", file, "--new", "targets.shop.with.service_time=" + service, "--json", "--quiet"}
	if len(args) < 2 {
		all = append(all, "--out", t.TempDir())
	}
	return comparison(append(all, args...)...)
}

// comparison is what a command prints.
func comparison(args ...string) (*compare.Comparison, error) {
	program, err := exec.LookPath("stormctl")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var c compare.Comparison
	if e := json.Unmarshal(out, &c); e != nil {
		return nil, fmt.Errorf("%s: %w: %w\n%s", strings.Join(args, " "), err, e, stderr.String())
	}
	if want := exitOfComparison(&c); exitCode(cmd.ProcessState.ExitCode()) != want {
		return nil, fmt.Errorf("exit code %d for %s", cmd.ProcessState.ExitCode(), c.Ruling)
	}
	return &c, nil
}

// loadAverage is that of the machine; "unknown" where it has none.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(text)); err == nil && len(fields) > 2 {
		return strings.Join(fields[:3], " ")
	}
	return "unknown"
}
