//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/compare"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/reports"
)

// gateOptions are the flags of gate.
type gateOptions struct {
	compareOptions
	old, new []string // KEY=VALUE of one side
	set      []string // of both
	rounds   int
	duet     bool
	seed     seedFlag
	out      string
	quiet    bool
}

const (
	usualRounds = 5
	mostRounds  = 1000
)

func (o *gateOptions) AddFlags(f *pflag.FlagSet) {
	o.addCommon(f)
	f.StringArrayVar(&o.old, "old", nil, "what makes the old system of the experiment: `KEY=VALUE` as for run --set; may be repeated")
	f.StringArrayVar(&o.new, "new", nil, "what makes the new one: `KEY=VALUE`; may be repeated")
	f.StringArrayVar(&o.set, "set", nil, "change the experiment for both: `KEY=VALUE`; may be repeated")
	f.IntVar(&o.rounds, "rounds", usualRounds, "runs of each, in turn: old new new old ...; at least 2")
	f.BoolVar(&o.duet, "duet", false, "instead of rounds one run of each, both at once with the same arrivals, each at the "+
		"experiment's rate")
	f.Var(&o.seed, "seed", "decides every random draw, of all runs, instead of the experiment's seed")
	f.StringVar(&o.out, "out", "", "`directory` for the runs and what they came to (default runs/gate-NAME-TIME)")
	f.BoolVar(&o.quiet, "quiet", false, "no progress on stderr")
}

func newGateCommand() *cobra.Command {
	var o gateOptions
	cmd := &cobra.Command{
		Use:   "gate FILE --old KEY=VALUE --new KEY=VALUE",
		Short: "Runs an old and a new system and rules whether the new one is worse",
		Long: `Runs one experiment with two systems, and compares what came of it as compare
does: worse, not worse or undecided. --old and --new say what differs, by keys of
the experiment; where there is only one of them, the other side is the experiment
as it stands. Load and faults must be the same.

By default it makes five runs of each in turn, old new new old old new ..., so that
a machine that becomes slower meanwhile is no matter. With --duet it makes one of
each, both at once under one schedule, and compares them in paired blocks of time:
what disturbs the one disturbs the other. That finds much smaller changes in less
time, but both systems must be able to stand on this machine at once, with a load
well below what they and its cores can take: it says when they cannot.

The runs are directories below --out: old-1, new-1 ..., with comparison.json,
comparison.md and runs.csv beside them. 'stormctl compare' rules on them again.

Ctrl-C ends the run that goes on, heals, and tells what the runs before it show.

Exit codes: 0 not worse, 1 worse, 3 undecided, 2 could not run, 4 stopped early.`,
		Example: `  stormctl gate examples/load.yaml --new targets.shop.with.service_time=3ms --rounds 2
  stormctl gate shop.yaml --duet --old targets.shop.url=http://127.0.0.1:8081 --new targets.shop.url=http://127.0.0.1:8082`,
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			tolerances, err := o.check(cmd.Flags().Changed("rounds"))
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find our own program, which serves reference targets: %w", err)
			}
			g := gate{
				options: o, tolerances: tolerances, file: args[0],
				runner: runner{self: []string{self, "target"}, run: chaos.Run, getenv: os.Getenv, stdout: cmd.OutOrStdout(),
					stderr: cmd.ErrOrStderr()},
			}
			return g.all(cmd.Context()).err()
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func (o *gateOptions) check(roundsGiven bool) (compare.Tolerances, error) {
	switch {
	case len(o.old) == 0 && len(o.new) == 0:
		return nil, usageError{errors.New("--old or --new is missing: what makes the two systems," +
			" like --new targets.shop.url=http://127.0.0.1:8082")}
	case o.duet && roundsGiven:
		return nil, usageError{errors.New("--duet makes one run of each: it does not go with --rounds")}
	case o.rounds < 2 || o.rounds > mostRounds:
		return nil, usageError{fmt.Errorf("--rounds %d: it is from 2 to %d, as one run does not show how much runs differ",
			o.rounds, mostRounds)}
	}
	return o.compareOptions.check()
}

// The sides of a gate, by which its run directories are named.
const (
	oldSide = "old"
	newSide = "new"
)

// gate runs two systems and rules.
type gate struct {
	options    gateOptions
	tolerances compare.Tolerances
	file       string
	runner     runner

	shown *progressQueue
	dir   string
	sides map[string]*experiment.Experiment
	done  map[string][]string // run directories that came to an end, by side, in their order
}

// all makes the runs and compares them. Everything is told when it returns.
func (g *gate) all(ctx context.Context) exitCode {
	g.shown = newProgressQueue(newProgress(g.runner.stderr, g.options.quiet, g.runner.getenv))
	defer g.shown.close()
	g.done = map[string][]string{}
	err := g.load()
	if err == nil {
		g.dir, err = chaos.MakeFolder(g.options.out, "gate-"+g.sides[oldSide].Name, time.Now())
	}
	if err != nil {
		g.shown.say(errorText(err))
		return exitFailed
	}
	ctx, release := interruptible(ctx, g.shown.say)
	defer release()
	code := g.makeRuns(ctx)
	if code == exitFailed {
		g.shown.say("the runs so far are in " + reports.Clean(g.dir))
		return code
	}
	return worse(code, g.rule(code))
}

// makeRuns makes all runs, or those until one could not be made or was stopped.
func (g *gate) makeRuns(ctx context.Context) exitCode {
	if g.options.duet {
		return g.duet(ctx)
	}
	n := 2 * g.options.rounds
	g.say("%d runs, to %s", n, g.dir)
	for i, side := range turns(g.options.rounds) {
		if ctx.Err() != nil {
			return exitStopped
		}
		name := fmt.Sprintf("%s-%d", side, len(g.done[side])+1)
		g.say("%s, which is run %d of %d", name, i+1, n)
		if code := g.one(ctx, side, name); code != exitHeld {
			return code
		}
	}
	return exitHeld
}

// turns are the sides in the order of their runs, old new new old ...: what
// changes evenly meanwhile changes both alike.
func turns(rounds int) (sides []string) {
	for i := range rounds {
		if i%2 == 0 {
			sides = append(sides, oldSide, newSide)
		} else {
			sides = append(sides, newSide, oldSide)
		}
	}
	return sides
}

// load reads the experiment of either side, and refuses what cannot be compared.
func (g *gate) load() error {
	g.sides = map[string]*experiment.Experiment{}
	for side, set := range map[string][]string{oldSide: g.options.old, newSide: g.options.new} {
		x, _, err := loadExperiment(g.file, append(append([]string{}, g.options.set...), set...))
		if err != nil {
			return err
		}
		if g.options.seed.given {
			x.Seed = g.options.seed.value
		}
		g.sides[side] = x
	}
	if g.sides[oldSide].Seed == 0 { // one for both, and so the same arrivals
		seed := uint64(time.Now().UnixNano()) >> 11
		g.sides[oldSide].Seed, g.sides[newSide].Seed = seed, seed
	}
	old, err := chaos.Conditions(g.sides[oldSide])
	if err != nil {
		return err
	}
	now, err := chaos.Conditions(g.sides[newSide])
	if err != nil {
		return err
	}
	if differ := compare.Differences(old, now); len(differ) > 0 {
		return fmt.Errorf("%s: the two sides could not be compared: %s; --old and --new are for what the systems are, --set for both",
			g.file, strings.Join(differ, "; "))
	}
	if g.options.duet {
		return apart(g.sides[oldSide], g.sides[newSide])
	}
	return nil
}

// one makes a run.
func (g *gate) one(ctx context.Context, side, name string) exitCode {
	options := chaos.Options{Out: filepath.Join(g.dir, name), Self: g.runner.self}
	if !g.options.quiet {
		options.Watch = g.shown.watch
	}
	g.shown.begin(name)
	defer g.shown.end()
	return g.ended(ctx, side, name, g.execute(ctx, side, options))
}

// execute runs one side and leaves its result in its directory, as run does.
func (g *gate) execute(ctx context.Context, side string, options chaos.Options) error {
	r, err := g.runner.run(ctx, g.sides[side], options)
	if err != nil {
		return err
	}
	if err := reports.Write(r.Dir, append([]string{"json"}, g.sides[side].Reports...), r); err != nil {
		return err
	}
	if r.Partial {
		return chaos.Stopped{Why: r.Stopped}
	}
	return nil
}

// ended takes note of a run that is over.
func (g *gate) ended(ctx context.Context, side, name string, err error) exitCode {
	switch {
	case err == nil:
		g.done[side] = append(g.done[side], filepath.Join(g.dir, name))
		return exitHeld
	case errors.As(err, new(chaos.Unwritten)):
	case ctx.Err() != nil || errors.As(err, new(chaos.Stopped)):
		g.shown.say(errorText(fmt.Errorf("%s was cut short: %w", name, err)))
		return exitStopped
	}
	g.shown.say(errorText(fmt.Errorf("run %s of %s: %w", name, g.file, err)))
	return exitFailed
}

// rule compares the runs that there are, and tells it. made is how making them
// ended.
func (g *gate) rule(made exitCode) exitCode {
	var s compare.Sides
	var err error
	if s.Base, err = measureAll(g.done[oldSide]); err == nil {
		s.Now, err = measureAll(g.done[newSide])
	}
	if err != nil {
		g.shown.say(errorText(err))
		return exitFailed
	}
	if len(s.Base) == 0 || len(s.Now) == 0 {
		g.shown.say("nothing is decided: no run of each side came to its end")
		return made
	}
	c := compare.Compare(s, g.tolerances)
	if made == exitStopped {
		c.Notes = append(c.Notes, fmt.Sprintf("STOPPED EARLY: this is of %d old and %d new runs", len(s.Base), len(s.Now)))
	}
	code := exitOfComparison(c)
	if err := g.write(c); err != nil {
		g.shown.say(errorText(err))
		code = exitFailed
	}
	if err := g.options.print(g.runner.stdout, c); err != nil && !readerGone(err) {
		g.shown.say(errorText(fmt.Errorf("print the comparison: %w", err)))
		code = exitFailed
	}
	return code
}

// write leaves the comparison beside its runs.
func (g *gate) write(c *compare.Comparison) error {
	var errs []error
	for name, render := range map[string]func(io.Writer, *compare.Comparison) error{
		"comparison.json": reports.ComparisonJSON, "comparison.md": reports.ComparisonMarkdown, "runs.csv": reports.ComparisonCSV,
	} {
		errs = append(errs, reports.WriteFile(filepath.Join(g.dir, name), func(w io.Writer) error { return render(w, c) }))
	}
	return errors.Join(errs...)
}

// say tells of progress.
func (g *gate) say(format string, args ...any) {
	if !g.options.quiet {
		g.shown.say("gate: " + reports.Clean(fmt.Sprintf(format, args...)))
	}
}
