//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/export"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/testbed"
	"github.com/stormctl/stormctl/reports"
)

// runOptions are the flags of run.
type runOptions struct {
	out     string   // run directory; with several files the folder of theirs
	resume  string   // directory of a soak that was killed; "" begins a run
	reports []string // formats beside those of the experiment
	open    inconclusiveFlag
	set     []string // KEY=VALUE
	seed    seedFlag
	dryRun  bool
	json    bool
	quiet   bool
	export  exportOptions
	lead    leadOptions
}

func (o *runOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.out, "out", "", "run `directory`; with several files, the folder that theirs are made in (default runs/NAME-TIME)")
	f.StringVar(&o.resume, "resume", "", "go on with the soak in a `directory`, whose run was killed; FILE, if given, must be unchanged")
	f.StringSliceVar(&o.reports, "report", nil, "further `formats` to write into the run directory: "+strings.Join(reports.Formats(), ", "))
	o.open.AddFlag(f)
	f.StringArrayVar(&o.set, "set", nil, "change the experiment: `KEY=VALUE` like load.rate=1k/s or chaos[0].for=2s; may be repeated")
	f.Var(&o.seed, "seed", "decides every random draw, instead of the experiment's seed; the one that the summary tells repeats a run")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would be done, touched and undone; start and break nothing")
	f.BoolVar(&o.json, "json", false, "print results as JSON, one document per run, instead of the summary")
	o.lead.AddFlags(f)
	f.BoolVar(&o.quiet, "quiet", false, "no progress on stderr, nor what the plan cannot decide")
	o.export.AddFlags(f)
}

// runLong is what run --help says of it.
const runLong = `Runs each experiment: starts its targets, drives its load, injects and heals its
faults, and rules on its claims from the evidence. The summary goes to stdout,
progress to stderr: in place on a terminal, elsewhere a line a second like

  12s chaos  500/s (500)  ok 61.20%  p50 1.2ms p99 9.0ms  lag 0.10ms  faults: errors 503 on payments

with the offered rate, the achieved rate in parentheses, how much of what ended
in that second was ok, response times, and how late the harness itself was.

Ctrl-C ends a run early: everything is healed first, then what was seen is ruled
on and written, marked as partial. So does a disk that is full, or a file of the
run directory that cannot be written for another reason; it is told which, and
that is exit code 2.

A run that is longer than a chapter, or whose faults repeat (every:), is judged chapter
by chapter while it goes on (docs/soak.md). One that was killed, with its machine or
without, goes on by --resume DIR: what it had in force is healed, its targets are
started again, and what was missed is a gap whose chapter is inconclusive.

A run that could not start leaves what its targets said in its run directory;
the next one with the same --out takes its place. A directory with anything else
in it is refused.

--report github, or reports: [github], is for jobs on GitHub: it writes the
annotations of what did not hold, at the lines of the claims. Where GITHUB_ACTIONS
is true, they are printed on stderr too, where the runner reads them; where
GITHUB_STEP_SUMMARY names a file, the Markdown of the run is appended to it.
docs/gates.md has recipes for pipelines.

Before it starts, a line on stderr names each part of a claim that its plan
cannot decide, whatever the system does, and the key that would settle it, as
validate does; --quiet leaves that out. The run goes on.

With --agents N the load is sent by as many stormctl agent, on this machine or
others, that join by the line printed on stderr; all else stays here
(docs/agents.md).

Several files are read first, all of them, and nothing runs if one is wrong.
Then they run one after another. The exit code is the weightiest of theirs: 2
(could not run) before 4 (stopped early) before 1 (refuted) before 3
(inconclusive) before 0 (held).`

func newRunCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run FILE...",
		Short: "Runs experiments and rules on their claims",
		Long:  runLong,
		Example: `  stormctl run examples/breaker.yaml
  stormctl run examples/breaker.yaml --set load.rate=1k/s --seed 7 --out out --report junit
  stormctl run examples/breaker.yaml --agents 2
  stormctl run examples/breaker.yaml --dry-run
  stormctl run --resume runs/checkout-20261129-030000`,
		Args: func(cmd *cobra.Command, files []string) error {
			if o.resume != "" {
				return o.resumes(files)
			}
			return atLeastOne("FILE")(cmd, files)
		},
		RunE: func(cmd *cobra.Command, files []string) error {
			if o.dryRun && o.json {
				return usageError{errors.New("--json is for results, and --dry-run has none")}
			}
			if err := o.lead.check(len(files)); err != nil {
				return usageError{err}
			}
			if err := reports.Check(o.reports...); err != nil {
				return usageError{fmt.Errorf("--report: %w", err)}
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find our own program, which serves reference targets: %w", err)
			}
			run, files := o.does(files)
			r := runner{
				options: o, self: []string{self, "target"}, run: run, getenv: os.Getenv,
				stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(),
			}
			return r.runAll(cmd.Context(), files).err()
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// does is what is done with each experiment, and the files that they are read from: of a
// soak that is resumed, the one that it was begun with if none is given.
func (o *runOptions) does(files []string) (runFunc, []string) {
	if o.resume == "" {
		return chaos.Run, files
	}
	if len(files) == 0 {
		files = []string{filepath.Join(o.resume, chaos.ExperimentFile)}
	}
	return func(ctx context.Context, x *experiment.Experiment, opts chaos.Options) (*result.Result, error) {
		return chaos.Resume(ctx, o.resume, x, opts)
	}, files
}

type runFunc = func(context.Context, *experiment.Experiment, chaos.Options) (*result.Result, error)

// resumes says what does not go with --resume.
func (o *runOptions) resumes(files []string) error {
	switch {
	case len(files) > 1:
		return usageError{errors.New("--resume goes on with one soak: give at most one FILE")}
	case o.out != "":
		return usageError{errors.New("--out does not go with --resume: a soak goes on in its own directory")}
	case o.dryRun:
		return usageError{errors.New("--dry-run does not go with --resume: what is left of a soak is what it was")}
	}
	return nil
}

// runner runs experiments and tells about it.
type runner struct {
	options        runOptions
	self           []string // the command that serves a reference target
	run            runFunc
	getenv         func(string) string
	stdout, stderr io.Writer

	live *export.Live // of what other systems are told; nil is none
}

// runAll runs the experiments of files one after another. Everything it has to
// say is said when it returns, unless stderr takes nothing.
func (r *runner) runAll(ctx context.Context, files []string) exitCode {
	shown := newProgressQueue(newProgress(r.stderr, r.options.quiet, r.getenv))
	defer shown.close()
	jobs, err := r.load(files)
	if err != nil {
		shown.say(errorText(err))
		return exitFailed
	}
	if r.options.dryRun {
		return r.plan(ctx, shown, jobs)
	}
	ctx, release := interruptible(ctx, shown.say)
	defer release()
	live, end, err := r.options.export.open(ctx, r.getenv, shown.say)
	if err != nil {
		shown.say(errorText(err))
		return exitFailed
	}
	defer end()
	r.live = live
	code := exitHeld
	for _, j := range jobs {
		if ctx.Err() != nil {
			shown.say("not run: " + reports.Clean(j.file))
			code = worse(code, exitStopped)
			continue
		}
		code = worse(code, r.runOne(ctx, shown, j))
	}
	return code
}

// plan prints what each run would do. What would keep it from running is told,
// and makes the exit code that of a run that could not.
func (r *runner) plan(ctx context.Context, shown *progressQueue, jobs []job) exitCode {
	code := exitHeld
	for _, j := range jobs {
		look := testbed.Look(ctx, j.x)
		if err := writePlan(r.stdout, j.file, j.x, look, j.weak); err != nil {
			shown.say(errorText(fmt.Errorf("print the plan of %s: %w", j.file, err)))
			return exitFailed
		}
		if len(look.Refusals) > 0 {
			shown.say(errorText(fmt.Errorf("%s could not run: %w", j.file, errors.Join(look.Refusals...))))
			code = exitFailed
		}
	}
	return code
}

// runOne runs one experiment, writes its reports and prints its result.
func (r *runner) runOne(ctx context.Context, shown *progressQueue, j job) exitCode {
	options := chaos.Options{Out: j.out, Self: r.self, Judge: []string{r.self[0], "judge"}, Origin: j.origin, Live: r.live}
	if !r.options.quiet {
		options.Watch = shown.watch // without it no provisional rulings are computed
	}
	if !r.options.quiet {
		for _, w := range j.weak {
			shown.say(reports.Clean(w.String()))
		}
	}
	remote, done, err := r.options.lead.lead(ctx, func(text string) { shown.say(reports.Clean(text)) })
	if err != nil {
		shown.say(errorText(err))
		return exitFailed
	}
	defer done()
	options.Remote = remote
	shown.begin(j.x.Name)
	result, err := r.run(ctx, j.x, options)
	shown.end()
	if err != nil {
		shown.say(errorText(fmt.Errorf("run %s: %w", j.file, err)))
		if errors.As(err, new(chaos.Unwritten)) {
			return exitFailed
		}
		if ctx.Err() != nil || errors.As(err, new(chaos.Stopped)) {
			return exitStopped // it could have run, had it been let
		}
		return exitFailed
	}
	code := exitOf(result)
	formats := slices.Concat([]string{"json"}, j.x.Reports, r.options.reports)
	if err := r.options.open.options().Write(result.Dir, formats, result); err != nil {
		shown.say(errorText(err))
		code = exitFailed
	}
	if slices.Contains(formats, "github") {
		if err := tellGitHub(shown, r.stderr, result, r.getenv); err != nil {
			shown.say(errorText(err))
			code = exitFailed
		}
	}
	look := textOptions(r.stdout, r.getenv)
	if slices.Contains(formats, "html") {
		look.Page = filepath.Join(result.Dir, reports.File("html"))
	}
	if err := printResult(r.stdout, result, r.options.json, look); err != nil && !readerGone(err) {
		shown.say(errorText(fmt.Errorf("print result of %s: %w", j.file, err)))
		code = exitFailed
	}
	return code
}

// load reads all files and decides where their runs go. The error tells
// everything that is wrong with any of them.
func (r *runner) load(files []string) ([]job, error) {
	var jobs []job
	var invalid strict.Errors
	byName := map[string]string{}
	for _, file := range files {
		j, err := readJob(file, r.options.set)
		if e, ok := errors.AsType[strict.Errors](err); ok {
			invalid = append(invalid, e...)
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.options.seed.given {
			j.x.Seed = r.options.seed.value
		}
		j.out = r.options.out
		if j.out != "" && len(files) > 1 {
			if first := byName[j.x.Name]; first != "" {
				return nil, fmt.Errorf("%s and %s are both named %s and would share a folder under %s: run them apart",
					first, file, j.x.Name, r.options.out)
			}
			byName[j.x.Name] = file
			j.out = filepath.Join(r.options.out, j.x.Name)
		}
		jobs = append(jobs, j)
	}
	if invalid != nil {
		return nil, invalid
	}
	return jobs, nil
}
