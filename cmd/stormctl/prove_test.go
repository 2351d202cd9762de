package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
)

var (
	proveRounds = flag.Int("prove", 0, "rounds of TestProve, quiet and busy; 0 leaves it out")
	proveFound  = flag.Int("prove-discover", 0, "rounds of TestProve in which discover measures, too; 0 means all")
	provePage   = flag.String("prove-page", "", "file of the table of implementations that TestProve brings up to date; empty writes none")
)

const proving = "../../targets/proving/"

// A proof is what rounds of one implementation came to.
type proof struct {
	of      implementation
	version string
	date    string

	mu          sync.Mutex // over what rounds add, which may be under way at the same time
	discoveries []trial    // by discover, in quiet rounds
	quiet, busy []trial
	found       []found

	busyLoops  int
	documented string
	unrunnable string // why nothing was measured; "" if it was
}

func (i implementation) file() string { return proving + i.name + ".yaml" }

func (i implementation) ruled() rulingCase { return rulingCase{file: i.file(), known: i.truths} }

// TestProve runs each implementation of the proving ground by its documented figures,
// lies about them, lets discover measure it, and writes the table.
func TestProve(t *testing.T) {
	if *proveRounds == 0 {
		t.Skip("run it with make prove")
	}
	only, err := regexp.Compile(*rulingOnly)
	if err != nil {
		t.Fatal(err)
	}
	var proofs []*proof
	for _, i := range implementations {
		if only.MatchString(i.name) {
			proofs = append(proofs, &proof{of: i, busyLoops: *rulingBusy, date: time.Now().Format(time.DateOnly)})
		}
	}
	var counted scores
	for _, p := range proofs {
		p.prepare()
		for _, what := range []string{"discovered", "ruled on", "busy"} {
			counted.announce(p.of.name + ", " + what)
		}
	}
	ctx := interrupted()
	atATime(ctx, proofs, func(p *proof, round int) {
		if *proveFound == 0 || round < *proveFound {
			p.count(ctx, &counted, &p.discoveries, "discovered", p.discover(ctx, round+1))
		}
		p.count(ctx, &counted, &p.quiet, "ruled on", p.of.ruled().run(ctx, 100*round+1, allSteps))
	})
	if *rulingBusy > 0 {
		stop := keepCoresBusy(t, *rulingBusy)
		atATime(ctx, proofs, func(p *proof, round int) {
			p.count(ctx, &counted, &p.busy, "busy", p.of.ruled().run(ctx, 5000+100*round+1, allSteps))
		})
		stop()
	}
	for _, p := range proofs {
		fmt.Print(p.tell())
		if p.wrong() {
			t.Errorf("%s is not as it must be", p.of.name)
		}
	}
	fmt.Print(counted.table())
	if *provePage != "" {
		if err := rewritePage(*provePage, proofs); err != nil {
			t.Fatal(err)
		}
	}
}

// count adds a trial, and tells of it at once: the table comes when all have run. What
// Ctrl-C has broken off is no trial.
func (p *proof) count(ctx context.Context, counted *scores, trials *[]trial, what string, got trial) {
	if ctx.Err() != nil {
		return
	}
	counted.add(p.of.name+", "+what, got.outcome)
	fmt.Printf("%s %s, %s: %s%s\n", time.Now().Format(time.TimeOnly), p.of.name, what, got.outcome, got.detail)
	p.mu.Lock()
	defer p.mu.Unlock()
	*trials = append(*trials, got)
}

// atATime does every round of all that can be run, -jobs at a time. A round begins where
// the one before has begun with all, so that wherever it is interrupted, each was done
// as often.
func atATime(ctx context.Context, proofs []*proof, do func(p *proof, round int)) {
	var wg sync.WaitGroup
	gate := make(chan struct{}, *rulingJobs)
	for round := range *proveRounds {
		for _, p := range proofs {
			if p.unrunnable != "" {
				continue
			}
			gate <- struct{}{}
			wg.Go(func() {
				defer func() { <-gate }()
				if ctx.Err() == nil {
					do(p, round)
				}
			})
		}
	}
	wg.Wait()
}

// prepare finds out what is to be measured.
func (p *proof) prepare() {
	x, _, err := loadExperiment(p.of.file(), nil)
	if err == nil {
		p.documented = x.About
		p.version, err = p.of.version()
	}
	if err != nil {
		p.unrunnable = err.Error()
	}
}

// discover lets discover measure it, as a user does.
func (p *proof) discover(ctx context.Context, seed int) trial {
	return inFolder(ctx, func(dir string) trial {
		f, err := discoverBy(ctx, dir, p.of.file(), "--link", "bank", "--route", "pay", "--seed", fmt.Sprint(seed))
		got := p.of.compare(f, err)
		if err != nil {
			return got
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, before := range p.found {
			got.differs(disagrees(before, f))
		}
		p.found = append(p.found, f)
		return got
	})
}

// discovery is the worst that discover came to.
func (p *proof) discovery() (worst outcome) {
	worst = right
	for _, t := range p.discoveries {
		if worst = max(worst, t.outcome); t.outcome == broken {
			return broken
		}
	}
	return worst
}

func (p *proof) wrong() bool {
	bad := func(o outcome) bool { return o == wrong || o == broken }
	return p.unrunnable != "" ||
		slices.ContainsFunc(slices.Concat(p.discoveries, p.quiet, p.busy), func(t trial) bool { return bad(t.outcome) })
}

// tell is what a proof came to, for whoever runs it.
func (p *proof) tell() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s (%s): %s\n", p.of.name, p.version, p.documented)
	if p.unrunnable != "" {
		fmt.Fprintf(&b, "  not run: %s\n", p.unrunnable)
		return b.String()
	}
	if len(p.discoveries)+len(p.quiet) == 0 {
		return "" // interrupted before its turn
	}
	fmt.Fprintf(&b, "  discovered: %s\n  ruling: %s; lies: %s\n", p.discovered(), p.ruling(), p.lies())
	for _, t := range slices.Concat(p.discoveries, p.quiet, p.busy) {
		if t.outcome != right {
			fmt.Fprintf(&b, "  %s: %s\n", t.outcome, strings.TrimSpace(t.detail))
		}
	}
	return b.String()
}

// discovered is what discover says of it, without what is not there unless that is
// documented.
func (p *proof) discovered() string {
	if len(p.found) == 0 {
		return "-"
	}
	var parts []string
	for _, row := range p.found[len(p.found)-1].Found {
		_, told := p.of.says[row.Name]
		if row.Figure != nil && row.Name != "longest wait of a caller" || told || row.Name == "law" || row.Name == "retried" {
			parts = append(parts, row.Name+" "+row.Text)
		}
	}
	mark := map[outcome]string{right: "✓ ", leftOpen: "? ", wrong: "✗ ", broken: "✗ "}[p.discovery()]
	return mark + strings.Join(parts, "; ")
}

// ruling is how often the documented figures held, quiet and busy.
func (p *proof) ruling() string {
	text := rounds(p.quiet)
	if len(p.busy) > 0 {
		text += fmt.Sprintf("; with %d of the cores busy %s", p.busyLoops, rounds(p.busy))
	}
	return text
}

func rounds(trials []trial) string {
	var n [4]int
	for _, t := range trials {
		n[t.outcome]++
	}
	var parts []string
	for _, o := range []struct {
		outcome
		word string
	}{{right, "held"}, {leftOpen, "inconclusive"}, {wrong, "wrong"}, {broken, "not run"}} {
		if n[o.outcome] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", o.word, n[o.outcome]))
		}
	}
	return fmt.Sprintf("%s of %d", strings.Join(parts, ", "), len(trials))
}

// lies is what became of false figures.
func (p *proof) lies() string {
	var n [3]int
	for _, t := range slices.Concat(p.quiet, p.busy) {
		for _, l := range t.lies {
			n[l.ruling]++
		}
	}
	return fmt.Sprintf("refuted %d, inconclusive %d, held %d", n[judge.Refuted], n[judge.Inconclusive], n[judge.Held])
}

// Every experiment of the proving ground is in the list, and runs by what it names.
func TestImplementationsAreListed(t *testing.T) {
	files, err := filepath.Glob(proving + "*.yaml")
	if err != nil || len(files) != len(implementations) {
		t.Errorf("%d files and %d implementations (%v)", len(files), len(implementations), err)
	}
	for _, i := range implementations {
		x, _, err := loadExperiment(i.file(), nil)
		if err != nil {
			t.Errorf("%s: %v", i.name, err)
			continue
		}
		if x.Name != i.name || x.About == "" {
			t.Errorf("%s: it has the name %q and is about %q", i.name, x.Name, x.About)
		}
		text, err := os.ReadFile(i.file())
		if err != nil {
			t.Fatal(err)
		}
		for _, known := range i.truths {
			for _, l := range known.lies(allSteps) { // each can be told
				if _, err := experiment.Parse(i.file(), text, experiment.Options{Set: l.sets()}); err != nil {
					t.Errorf("%s: %s: %v", i.name, l.set, err)
				}
			}
		}
	}
}

// The frame stands with what is built from Go's modules alone: an experiment of the
// proving ground is held, and lies about it are not.
func TestProvingGround(t *testing.T) {
	if testing.Short() {
		t.Skip("builds services and runs two experiments, of 7 s")
	}
	t.Parallel()
	build := exec.Command("go", "build", "-o", "../bin/proving", ".")
	build.Dir, build.Env = proving+"go", append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath") // as make proving-ground does
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"tiers", "nethttp"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := slices.IndexFunc(implementations, func(i implementation) bool { return i.name == name })
			if version, err := implementations[at].version(); version == "" {
				t.Error(err)
			}
			switch got := implementations[at].ruled().run(t.Context(), 1, oneStep); got.outcome {
			case right:
				if len(got.lies) == 0 {
					t.Error("no lie was told")
				}
			case leftOpen:
				t.Logf("left open:%s", got.detail)
			default:
				t.Errorf("not as it must be:%s", got.detail)
			}
		})
	}
}
