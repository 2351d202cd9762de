package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

const experimentFile = `
name: NAME
targets:
  web: {url: http://127.0.0.1:9}
load:
  rate: 50/s
  duration: 1s
  routes:
    - {name: home, to: web, get: /}
claims:
  - steady: {route: home, success: 99%}
`

// harness is a runner whose runs are made up, in an empty folder.
type harness struct {
	runner
	stdout, stderr bytes.Buffer
	ran            []chaos.Options
	seeds          []uint64
}

// newHarness answers each run by the name of its experiment.
func newHarness(t *testing.T, answers map[string]result.Result) *harness {
	t.Chdir(t.TempDir())
	h := &harness{}
	h.runner = runner{
		stdout: &h.stdout, stderr: &h.stderr, self: []string{"/bin/stormctl", "target"},
		getenv: func(string) string { return "" },
		run: func(_ context.Context, x *experiment.Experiment, o chaos.Options) (*result.Result, error) {
			h.ran = append(h.ran, o)
			h.seeds = append(h.seeds, x.Seed)
			r, ok := answers[x.Name]
			if !ok {
				return nil, errors.New("target web: nobody there")
			}
			if r.Dir = o.Out; r.Dir == "" {
				r.Dir = filepath.Join("runs", x.Name)
			}
			if err := os.MkdirAll(r.Dir, 0o755); err != nil {
				return nil, err
			}
			r.Schema, r.Name = result.Schema, x.Name
			return &r, nil
		},
	}
	return h
}

// file writes an experiment of that name.
func file(t *testing.T, name string) string {
	t.Helper()
	path := name + ".yaml"
	if err := os.WriteFile(path, []byte(strings.Replace(experimentFile, "NAME", name, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func answers() map[string]result.Result {
	ruled := func(ruling judge.Ruling) result.Result {
		return result.Result{Ruling: ruling, Verdicts: []judge.Verdict{{Claim: "c", Kind: "steady", Ruling: ruling, Reason: "r"}}, Harness: result.Harness{Healthy: true}}
	}
	stopped := ruled(judge.Refuted)
	stopped.Partial, stopped.Stopped = true, "stop_if"
	return map[string]result.Result{
		"held": ruled(judge.Held), "refuted": ruled(judge.Refuted), "open": ruled(judge.Inconclusive), "stopped": stopped,
	}
}

func TestRunExitsWithTheWeightiestCode(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  exitCode
	}{
		{[]string{"held"}, 0},
		{[]string{"refuted"}, 1},
		{[]string{"gone"}, 2},
		{[]string{"open"}, 3},
		{[]string{"stopped"}, 4},
		{[]string{"held", "open"}, 3},
		{[]string{"open", "refuted", "held"}, 1},
		{[]string{"stopped", "refuted", "held"}, 4},
		{[]string{"held", "gone", "stopped", "refuted"}, 2},
	} {
		h := newHarness(t, answers())
		var files []string
		for _, name := range c.names {
			files = append(files, file(t, name))
		}
		if got := h.runAll(t.Context(), files); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.names, got, c.want)
		}
		// One that could not run does not keep the others from running.
		if len(h.ran) != len(files) {
			t.Errorf("%v: %d ran, want all", c.names, len(h.ran))
		}
	}
}

func TestRunWritesReportsAndPrintsTheSummary(t *testing.T) {
	h := newHarness(t, answers())
	h.options = runOptions{out: "out", reports: []string{"junit"}, seed: seedFlag{7, true}}
	if code := h.runAll(t.Context(), []string{file(t, "refuted")}); code != exitRefuted {
		t.Errorf("exit code %d, want 1\n%s", code, h.stderr.String())
	}
	for _, f := range []string{"out/result.json", "out/junit.xml"} {
		if _, err := os.Stat(f); err != nil {
			t.Error(err)
		}
	}
	if got, want := h.stdout.String(), "REFUTED  refuted: 1 of 1 claim refuted.\n"; !strings.HasPrefix(got, want) {
		t.Errorf("printed %q, want %q first", got, want)
	}
	if got, want := h.stderr.String(), "run refuted\n"; got != want {
		t.Errorf("progress is %q, want %q", got, want)
	}
	if diff := cmp.Diff([]uint64{7}, h.seeds); diff != "" {
		t.Errorf("seed (-want +got):\n%s", diff)
	}
	if got := h.ran[0]; got.Out != "out" || got.Watch == nil {
		t.Errorf("ran with %+v", got)
	}
	if diff := cmp.Diff([]string{"/bin/stormctl", "target"}, h.ran[0].Self); diff != "" {
		t.Errorf("self (-want +got):\n%s", diff)
	}
}

func TestRunGivesEachOfSeveralItsOwnFolder(t *testing.T) {
	h := newHarness(t, answers())
	h.options = runOptions{out: "out", quiet: true}
	h.runAll(t.Context(), []string{file(t, "held"), file(t, "open")})
	got := []string{h.ran[0].Out, h.ran[1].Out}
	if diff := cmp.Diff([]string{"out/held", "out/open"}, got); diff != "" {
		t.Errorf("folders (-want +got):\n%s", diff)
	}
}

// A run that is watched rules on its claims every two seconds, to show them.
func TestAQuietRunIsNotWatched(t *testing.T) {
	h := newHarness(t, answers())
	h.options.quiet = true
	h.runAll(t.Context(), []string{file(t, "held")})
	if h.ran[0].Watch != nil {
		t.Error("progress is made for nobody")
	}
	if got := h.stderr.String(); got != "" {
		t.Errorf("it said %q", got)
	}
}

// What the plan cannot decide is said before the run, which goes on; a quiet one
// does not say it.
func TestRunWarnsOfWhatItsPlanCannotDecide(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		h := newHarness(t, answers())
		h.options = runOptions{set: []string{"load.rate=20/s"}, quiet: quiet}
		if code := h.runAll(t.Context(), []string{file(t, "held")}); code != exitHeld || len(h.ran) != 1 {
			t.Errorf("quiet %v: exit code %d, %d ran, want 0 and 1", quiet, code, len(h.ran))
		}
		want := "held.yaml:11:5: warning: claims[0].steady cannot be decided: about 20 requests are due, and at least 30 are needed to " +
			"speak of a steady state: let the load last 1.8s, or offer more than 36/s\nrun held\n"
		if quiet {
			want = ""
		}
		if diff := cmp.Diff(want, h.stderr.String()); diff != "" {
			t.Errorf("quiet %v (-want +got):\n%s", quiet, diff)
		}
	}
}

func TestRunRefusesTwoOfOneNameInOneFolder(t *testing.T) {
	h := newHarness(t, answers())
	h.options.out = "out"
	again := file(t, "held")
	if err := os.Rename(again, "copy.yaml"); err != nil {
		t.Fatal(err)
	}
	if code := h.runAll(t.Context(), []string{file(t, "held"), "copy.yaml"}); code != exitFailed {
		t.Errorf("exit code %d, want 2", code)
	}
	want := "stormctl: held.yaml and copy.yaml are both named held and would share a folder under out: run them apart\n"
	if diff := cmp.Diff(want, h.stderr.String()); diff != "" || h.ran != nil {
		t.Errorf("%d ran; said (-want +got):\n%s", len(h.ran), diff)
	}
}

// All files are read before any runs: a typo in the last one must not show
// after an hour of running the others.
func TestRunRunsNothingIfOneFileIsWrong(t *testing.T) {
	h := newHarness(t, answers())
	for _, name := range []string{"bad", "worse"} {
		if err := os.WriteFile(name+".yaml", []byte("naem: x\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if code := h.runAll(t.Context(), []string{file(t, "held"), "bad.yaml", "worse.yaml"}); code != exitFailed {
		t.Errorf("exit code %d, want 2", code)
	}
	if h.ran != nil {
		t.Errorf("%d ran", len(h.ran))
	}
	for _, want := range []string{"bad.yaml:1:", "worse.yaml:1:"} {
		if !strings.Contains("\n"+h.stderr.String(), "\n"+want) {
			t.Errorf("no line begins with %s in\n%s", want, h.stderr.String())
		}
	}
}

func TestRunPrintsOneJSONDocumentPerRun(t *testing.T) {
	h := newHarness(t, answers())
	h.options.json = true
	h.runAll(t.Context(), []string{file(t, "held"), file(t, "refuted")})
	d := json.NewDecoder(&h.stdout)
	var got []string
	for d.More() {
		var r struct {
			Name   string
			Ruling string
		}
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Name+" "+r.Ruling)
	}
	if diff := cmp.Diff([]string{"held held", "refuted refuted"}, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

// Ctrl-C in the first of two runs ends it in its own way; the second is not
// begun, and both is said.
func TestRunAfterASignalBeginsNoOther(t *testing.T) {
	h := newHarness(t, answers())
	run := h.run
	h.run = func(ctx context.Context, x *experiment.Experiment, o chaos.Options) (*result.Result, error) {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		return run(ctx, x, o)
	}
	if code := h.runAll(t.Context(), []string{file(t, "stopped"), file(t, "held")}); code != exitStopped {
		t.Errorf("exit code %d, want 4", code)
	}
	if len(h.ran) != 1 {
		t.Errorf("%d ran, want 1", len(h.ran))
	}
	for _, want := range []string{"interrupt: stopping, healing everything", "not run: held.yaml\n"} {
		if !strings.Contains(h.stderr.String(), want) {
			t.Errorf("no %q in\n%s", want, h.stderr.String())
		}
	}
	if !strings.HasPrefix(h.stdout.String(), "STOPPED EARLY") {
		t.Errorf("the summary is not there:\n%s", h.stdout.String())
	}
}

// A run that a signal ends before its load begins could not give a result, but
// it was stopped, not unable.
func TestRunStoppedWhileStarting(t *testing.T) {
	h := newHarness(t, nil)
	h.run = func(ctx context.Context, _ *experiment.Experiment, _ chaos.Options) (*result.Result, error) {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		return nil, errors.New("target web: exited early: killed by signal 15") // which says nothing of why
	}
	if code := h.runAll(t.Context(), []string{file(t, "held")}); code != exitStopped {
		t.Errorf("exit code %d, want 4\n%s", code, h.stderr.String())
	}
}

func TestRunSaysWhatItCouldNotWrite(t *testing.T) {
	h := newHarness(t, nil)
	h.run = func(context.Context, *experiment.Experiment, chaos.Options) (*result.Result, error) {
		r := answers()["held"]
		r.Dir = "gone"
		return &r, nil
	}
	if code := h.runAll(t.Context(), []string{file(t, "held")}); code != exitFailed {
		t.Errorf("exit code %d, want 2: held, but nothing to show for it", code)
	}
	if !strings.Contains(h.stderr.String(), "gone/result.json") || !strings.HasPrefix(h.stdout.String(), "HELD") {
		t.Errorf("said %q, printed %q", h.stderr.String(), h.stdout.String())
	}
}

func TestDryRunRunsNothing(t *testing.T) {
	h := newHarness(t, answers())
	h.options.dryRun = true
	if code := h.runAll(t.Context(), []string{file(t, "held"), file(t, "refuted")}); code != exitHeld {
		t.Errorf("exit code %d, want 0\n%s", code, h.stderr.String())
	}
	if h.ran != nil {
		t.Errorf("%d ran", len(h.ran))
	}
	for _, want := range []string{"held (held.yaml): a dry run", "refuted (refuted.yaml): a dry run"} {
		if !strings.Contains(h.stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, h.stdout.String())
		}
	}
	if entries, err := filepath.Glob("*"); err != nil || len(entries) != 2 { // the files themselves
		t.Errorf("it left %v, %v", entries, err)
	}
}

// Whoever watches is told while the run goes on.
func TestRunShowsProgress(t *testing.T) {
	h := newHarness(t, answers())
	run := h.run
	h.run = func(ctx context.Context, x *experiment.Experiment, o chaos.Options) (*result.Result, error) {
		o.Watch(chaos.Progress{Name: x.Name, Phase: "starting", At: -1, Total: time.Second, Event: "starting web"})
		o.Watch(chaos.Progress{Name: x.Name, Phase: "chaos", At: time.Second, Total: time.Second, Offered: 10, Achieved: 10, Success: 1, P99: time.Millisecond})
		return run(ctx, x, o)
	}
	h.runAll(t.Context(), []string{file(t, "held")})
	want := "run held\nstarting: starting web\n1s chaos  10/s (10)  ok 100%  p50 0ms p99 1.0ms  lag 0ms\n"
	if diff := cmp.Diff(want, h.stderr.String()); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}

// failing is a screen that takes nothing.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Whoever reads our output may stop, as head does: the run has been made. A disk
// that is full is another matter.
func TestOutputThatNobodyReads(t *testing.T) {
	for _, row := range []struct {
		name string
		err  error
		want exitCode
	}{
		{"held", syscall.EPIPE, exitHeld},
		{"refuted", &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}, exitRefuted},
		{"held", syscall.ENOSPC, exitFailed},
	} {
		h := newHarness(t, answers())
		h.runner.stdout = failing{row.err}
		if got := h.runAll(t.Context(), []string{file(t, row.name)}); got != row.want {
			t.Errorf("%s, %v: exit code %d, want %d; stderr %s", row.name, row.err, got, row.want, h.stderr.String())
		}
	}
}
