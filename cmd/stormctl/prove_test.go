package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/discover"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
)

var (
	proveRounds = flag.Int("prove", 0, "rounds of TestProve, quiet and busy; 0 leaves it out")
	provePage   = flag.String("prove-page", "", "file of the table of implementations that TestProve brings up to date; empty writes none")
)

const proving = "../../targets/proving/"

// A proof is what rounds of one implementation came to.
type proof struct {
	of           implementation
	version      string
	quiet, busy  []trial
	found        []found // by discover, one for each quiet round
	misses       string  // where discover and the documentation differ
	date         string
	busyLoops    int
	documented   string
	unrunnable   string // why nothing was measured; "" if it was
	disagreement string // of discover with itself, by other seeds
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
	for _, p := range proofs {
		p.prepare()
	}
	atATime(proofs, func(p *proof) { p.discoverRounds(t.Context()) })
	atATime(proofs, func(p *proof) { p.quiet = p.rulings(t.Context(), 0) })
	if *rulingBusy > 0 {
		stop := keepCoresBusy(t, *rulingBusy)
		atATime(proofs, func(p *proof) { p.busy = p.rulings(t.Context(), 5000) })
		stop()
	}
	for _, p := range proofs {
		fmt.Print(p.tell())
		if p.wrong() {
			t.Errorf("%s is not as it must be", p.of.name)
		}
	}
	if *provePage != "" {
		if err := rewritePage(*provePage, proofs); err != nil {
			t.Fatal(err)
		}
	}
}

// atATime does it to all that can be run, -jobs at a time.
func atATime(proofs []*proof, do func(*proof)) {
	var wg sync.WaitGroup
	gate := make(chan struct{}, *rulingJobs)
	for _, p := range proofs {
		if p.unrunnable != "" {
			continue
		}
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			do(p)
		})
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

func (p *proof) rulings(ctx context.Context, seeds int) (trials []trial) {
	for round := range *proveRounds {
		trials = append(trials, p.of.ruled().run(ctx, seeds+100*round+1, allSteps))
	}
	return trials
}

// discoverRounds lets discover measure it once a round, each time by another seed.
func (p *proof) discoverRounds(ctx context.Context) {
	for round := range *proveRounds {
		f, err := p.of.discover(ctx, round+1)
		if err != nil {
			p.misses += fmt.Sprintf("\n    seed %d: %v", round+1, err)
			continue
		}
		if miss := p.of.misses(f); miss != "" {
			p.misses += fmt.Sprintf("\n    seed %d:%s", round+1, miss)
		}
		for _, before := range p.found {
			p.disagreement += disagrees(before, f)
		}
		p.found = append(p.found, f)
	}
}

// discover measures it as a user does.
func (i implementation) discover(ctx context.Context, seed int) (f found, err error) {
	dir, err := os.MkdirTemp("", "prove")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, "stormctl", "discover", i.file(), "--link", "bank", "--route", "pay", "--json", "--quiet",
		"--out", filepath.Join(dir, "trials"), "--seed", fmt.Sprint(seed))
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return f, fmt.Errorf("discover: %w\n%s", err, stderr.String())
	}
	return f, json.Unmarshal(stdout.Bytes(), &f)
}

// misses is where what was discovered is not what is documented; "" if nowhere. A
// figure holds the documented number, or its middle is within a tenth of it.
func (i implementation) misses(f found) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(i.figures)) {
		want := i.figures[name]
		row, ok := f.row(name)
		switch {
		case !ok || row.Figure == nil:
			fmt.Fprintf(&b, "\n      %s: %q, and %g is documented", name, row.Text, want)
		case row.Figure.Low > want || row.Figure.High < want:
			if middle := (row.Figure.Low + row.Figure.High) / 2; middle < 0.9*want || middle > 1.1*want {
				fmt.Fprintf(&b, "\n      %s: %g to %g, and %g is documented", name, row.Figure.Low, row.Figure.High, want)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(i.says)) {
		if row, _ := f.row(name); !strings.Contains(row.Text, i.says[name]) {
			fmt.Fprintf(&b, "\n      %s: %q, want %q in it", name, row.Text, i.says[name])
		}
	}
	for _, name := range i.lacks {
		if row, ok := f.row(name); ok {
			fmt.Fprintf(&b, "\n      %s: %q is invented", name, row.Text)
		}
	}
	return b.String()
}

// disagrees is where two measurements of one thing contradict each other.
func disagrees(a, b found) string {
	var text strings.Builder
	for _, row := range a.Found {
		other, ok := b.row(row.Name)
		if !ok || (row.Figure == nil) != (other.Figure == nil) {
			fmt.Fprintf(&text, "\n    %s: %q, and then %q", row.Name, row.Text, other.Text)
			continue
		}
		if settings[row.Name] && row.Figure != nil && (row.Figure.Low > other.Figure.High || other.Figure.Low > row.Figure.High) {
			fmt.Fprintf(&text, "\n    %s: %s, and then %s", row.Name, row.Text, other.Text)
		}
	}
	return text.String()
}

// settings are the rows that are a setting of the service, and so the same each time.
// The others are how it fared.
var settings = map[string]bool{
	"attempts": true, "breaker opens": true, "share that opens it": true, "window": true, "open time": true, "probes": true,
	"timeout of a call": true, "calls in progress": true,
}

func (p *proof) wrong() bool {
	bad := func(o outcome) bool { return o == wrong || o == broken }
	return p.unrunnable != "" || p.misses != "" || p.disagreement != "" ||
		slices.ContainsFunc(slices.Concat(p.quiet, p.busy), func(t trial) bool { return bad(t.outcome) })
}

// tell is what a proof came to, for whoever runs it.
func (p *proof) tell() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s (%s): %s\n", p.of.name, p.version, p.documented)
	if p.unrunnable != "" {
		fmt.Fprintf(&b, "  not run: %s\n", p.unrunnable)
		return b.String()
	}
	fmt.Fprintf(&b, "  discovered: %s\n  ruling: %s; lies: %s\n", p.discovered(), p.ruling(), p.lies())
	for _, t := range slices.Concat(p.quiet, p.busy) {
		if t.outcome != right {
			fmt.Fprintf(&b, "  %s\n", strings.TrimSpace(t.detail))
		}
	}
	if p.misses != "" {
		fmt.Fprintf(&b, "  not as documented:%s\n", p.misses)
	}
	if p.disagreement != "" {
		fmt.Fprintf(&b, "  discover differs from itself:%s\n", p.disagreement)
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
	mark := "✓ "
	if p.misses != "" || p.disagreement != "" {
		mark = "✗ "
	}
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

// A figure that is documented otherwise, a row that is missing and one that is invented
// are told; a figure that has the documented number, or is near it, is right.
func TestMissesAreTold(t *testing.T) {
	figure := func(name string, low, high float64) discover.Row {
		f := &discover.Figure{}
		f.Low, f.High = low, high
		return discover.Row{Name: name, Text: "so", Figure: f}
	}
	f := found{Found: []discover.Row{figure("attempts", 4, 4), figure("open time", 1900, 1990), {Name: "law", Text: "base: 1s"}}}
	for _, c := range []struct {
		of   implementation
		want string
	}{
		{implementation{
			figures: map[string]float64{"attempts": 4, "open time": 2000}, says: map[string]string{"law": "1s"}, lacks: []string{"probes"},
		}, ""},
		{implementation{figures: attempts(5)}, "4 to 4, and 5 is documented"},
		{implementation{figures: map[string]float64{"open time": 3000}}, "3000 is documented"},
		{implementation{figures: map[string]float64{"probes": 1}}, `probes: "", and 1`},
		{implementation{says: map[string]string{"law": "2s"}}, `want "2s"`},
		{implementation{lacks: []string{"law"}}, `"base: 1s" is invented`},
	} {
		got := c.of.misses(f)
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	other := found{Found: []discover.Row{figure("attempts", 5, 5), figure("open time", 1950, 2050), {Name: "law", Text: "base: 1s"}}}
	if got := disagrees(f, other); !strings.Contains(got, "attempts") || strings.Contains(got, "open time") {
		t.Errorf("it differs by %q, want attempts alone", got)
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
