package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/compare"
	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/reports"
)

// compareOptions are the flags of compare, and those that gate shares with it.
type compareOptions struct {
	tolerances []string // METRIC=RELATIVE,ABSOLUTE
	history    []string // directories
	anyHost    bool

	json, markdown, csv bool // at most one
}

func (o *compareOptions) AddFlags(f *pflag.FlagSet) {
	o.addCommon(f)
	f.StringArrayVar(&o.history, "history", nil,
		"earlier runs of the base, for how much it differs by itself: a run `directory` or a folder of them; may be repeated")
	f.BoolVar(&o.anyHost, "any-host", false, "compare runs of different machines too: what these differ by counts as change then")
}

func (o *compareOptions) addCommon(f *pflag.FlagSet) {
	f.StringArrayVar(&o.tolerances, "tolerance", nil,
		"how much worse a metric may be, `METRIC=RELATIVE,ABSOLUTE` like p99=20%,2ms; may be repeated; a metric with none is shown only")
	f.BoolVar(&o.json, "json", false, "print the comparison as JSON instead of the table")
	f.BoolVar(&o.markdown, "markdown", false, "print it as Markdown, for a pull request or $GITHUB_STEP_SUMMARY")
	f.BoolVar(&o.csv, "csv", false, "print a line of figures per run, for tools that look for change over months")
}

// check finds what is wrong with the flags, and makes tolerances of them.
func (o *compareOptions) check() (compare.Tolerances, error) {
	t := compare.Defaults()
	for _, text := range o.tolerances {
		if err := t.Set(text); err != nil {
			return nil, usageError{fmt.Errorf("--tolerance: %w", err)}
		}
	}
	formats := 0
	for _, is := range []bool{o.json, o.markdown, o.csv} {
		if is {
			formats++
		}
	}
	if formats > 1 {
		return nil, usageError{errors.New("--json, --markdown and --csv: only one of them can be printed")}
	}
	return t, nil
}

func newCompareCommand() *cobra.Command {
	var o compareOptions
	cmd := &cobra.Command{
		Use:   "compare BASE... -- RUN...",
		Short: "Rules whether runs are worse than others were",
		Long: `Compares run directories: those before -- are the base, those behind it what is
now. Each percentile, the share of success, the rate, the CPU of started targets
and the rulings of the claims come to one of three:

  worse      beyond its tolerance, with 95% confidence
  not worse  within it, with 95% confidence
  undecided  these runs cannot say; the table has what they would have found

A change is worse only beyond both halves of its tolerance. They are 3% and 0.2ms
for p50 and p90, 10% and 1ms for p99, 0.1 percentage points (pp) of success, 3%
of the rate, 5% of the CPU per request; --tolerance changes them. A percentile
with fewer than 100 samples beyond it is shown and not ruled on.

The unit is the run: several on each side say how much runs differ by themselves.
One run against one other says little, as that is not in it; --history of earlier
runs of the base helps. 'stormctl gate' makes the runs for you.

What cannot be compared is undecided by name: other load, routes, faults, cores or
host, a run that was cut short, a harness that was unwell. docs/gates.md says how
all of it is computed and how often it is wrong.

Exit codes: 0 not worse, 1 worse, 3 undecided, 2 could not be compared.`,
		Example: `  stormctl gate examples/load.yaml --new targets.shop.with.service_time=3ms --rounds 2 --out gate
  stormctl compare gate/old-* -- gate/new-*
  stormctl compare gate/old-1 -- gate/new-1 --markdown`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			dash := cmd.ArgsLenAtDash()
			if dash < 1 || dash >= len(args) {
				return usageError{errors.New("runs are wanted on both sides: stormctl compare BASE... -- RUN")}
			}
			base, now := args[:dash], args[dash:]
			// To cobra all behind -- is an argument. Here that parts the sides, and flags
			// may stand behind either.
			if err := cmd.Flags().Parse(now); err != nil {
				return usageError{err}
			}
			if now = cmd.Flags().Args(); len(now) == 0 {
				return usageError{errors.New("there is no run behind --: stormctl compare BASE... -- RUN")}
			}
			return o.compare(cmd.OutOrStdout(), base, now)
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// compare compares run directories and prints what it came to.
func (o *compareOptions) compare(w io.Writer, base, now []string) error {
	tolerances, err := o.check()
	if err != nil {
		return err
	}
	for _, b := range base {
		for _, n := range now {
			if sameDir(b, n) {
				return usageError{fmt.Errorf("%s is on both sides", b)}
			}
		}
	}
	var history []string
	for _, dir := range o.history {
		found, err := runsIn(dir)
		if err != nil {
			return err
		}
		for _, h := range found {
			isNow := false
			for _, n := range now {
				isNow = isNow || sameDir(h, n)
			}
			if !isNow { // what is judged is no witness for how much it may differ
				history = append(history, h)
			}
		}
	}
	var s compare.Sides
	for _, side := range []struct {
		runs *[]compare.Run
		dirs []string
	}{{&s.Base, base}, {&s.Now, now}, {&s.History, history}} {
		if *side.runs, err = measureAll(side.dirs); err != nil {
			return err
		}
	}
	if o.anyHost {
		s.IgnoreHost()
	}
	c := compare.Compare(s, tolerances)
	if err := o.print(w, c); err != nil && !readerGone(err) {
		return err
	}
	return exitOfComparison(c).err()
}

func measureAll(dirs []string) ([]compare.Run, error) {
	var runs []compare.Run
	for _, dir := range dirs {
		run, err := chaos.Measure(dir)
		if err != nil {
			return nil, err
		}
		runs = append(runs, *run)
	}
	return runs, nil
}

// runsIn are the run directories that dir is or holds.
func runsIn(dir string) ([]string, error) {
	isRun := func(dir string) bool {
		_, err := input.StatBelow(dir, evidence.TimelineFile)
		return err == nil
	}
	if isRun(dir) {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("--history: %w", err)
	}
	var found []string
	for _, e := range entries {
		if at := filepath.Join(dir, e.Name()); isRun(at) {
			found = append(found, at)
		}
	}
	if found == nil {
		return nil, fmt.Errorf("--history: there is no run directory in %s", dir)
	}
	return found, nil
}

func sameDir(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// print prints a comparison in the format that was asked for.
func (o *compareOptions) print(w io.Writer, c *compare.Comparison) error {
	switch {
	case o.json:
		return reports.ComparisonJSON(w, c)
	case o.markdown:
		return reports.ComparisonMarkdown(w, c)
	case o.csv:
		return reports.ComparisonCSV(w, c)
	}
	return reports.Comparison(w, c, textOptions(w, os.Getenv))
}

// exitOfComparison is the code for what a comparison came to.
func exitOfComparison(c *compare.Comparison) exitCode {
	switch c.Ruling {
	case compare.NotWorse:
		return exitHeld
	case compare.Worse:
		return exitRefuted
	}
	return exitInconclusive
}
