package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/reports"
)

// reportOptions are the flags of report.
type reportOptions struct {
	format string
	open   inconclusiveFlag
}

func (o *reportOptions) AddFlags(f *pflag.FlagSet) {
	o.open.AddFlag(f)
	f.StringVar(&o.format, "format", "text", "`format` of the report: "+strings.Join(reports.Formats(), ", "))
}

// inconclusiveFlag is what an inconclusive claim is in JUnit.
type inconclusiveFlag struct{ skipped bool }

func (i *inconclusiveFlag) AddFlag(f *pflag.FlagSet) {
	f.Var(i, "inconclusive", "what an inconclusive claim is in JUnit, a `word`: error, or skipped; the exit code stays 3")
}

func (i *inconclusiveFlag) String() string {
	if i.skipped {
		return "skipped"
	}
	return "error"
}

func (i *inconclusiveFlag) Set(text string) error {
	if text != "error" && text != "skipped" {
		return errors.New("there are error and skipped")
	}
	i.skipped = text == "skipped"
	return nil
}

func (*inconclusiveFlag) Type() string { return "word" }

func (i *inconclusiveFlag) options() reports.Options {
	return reports.Options{SkipInconclusive: i.skipped}
}

func newReportCommand() *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use:   "report DIR",
		Short: "Prints the result of a run in another format",
		Long: `Prints what a run came to, from the result.json in its directory. A run that was
killed has none, and one that is damaged cannot be read; the evidence is judged
then. The exit code is 0 whatever the
rulings: judge gives the run's.

For pipelines there are junit, github (annotations, for the log of a runner),
markdown (for the summary of a job), comment (the same within what a comment
takes), codequality (GitLab's) and openmetrics; docs/gates.md has recipes.`,
		Example: `  stormctl run examples/breaker.yaml --out out
  stormctl report out --format junit > junit.xml
  stormctl report out --format markdown`,
		Args: exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := reports.Check(o.format); err != nil {
				return usageError{err}
			}
			return report(cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0], o, os.Getenv)
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func report(w, stderr io.Writer, dir string, o reportOptions, getenv func(string) string) error {
	result, err := readOrJudge(stderr, dir)
	if err != nil {
		return err
	}
	if o.format == "text" {
		return reports.Text(w, result, textOptions(w, getenv))
	}
	return o.open.options().Render(w, o.format, result)
}

// readOrJudge reads the result of a run, or rules on its evidence where there is
// no result to be read: the run was killed, or what wrote the file was.
func readOrJudge(stderr io.Writer, dir string) (*result.Result, error) {
	r, err := reports.Read(dir)
	switch {
	case errors.Is(err, reports.ErrNoResult), errors.Is(err, fs.ErrNotExist):
		return chaos.Judge(dir)
	case errors.Is(err, reports.ErrDamaged):
		r, judgeErr := chaos.Judge(dir)
		if judgeErr != nil {
			return nil, fmt.Errorf("%w; nor is there evidence to rule on again: %w", err, judgeErr)
		}
		tell(stderr, errorText(fmt.Errorf("%w: the evidence is ruled on again", err)))
		return r, nil
	}
	return r, err
}
