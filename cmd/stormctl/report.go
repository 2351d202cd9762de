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
}

func (o *reportOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.format, "format", "text", "`format` of the report: "+strings.Join(reports.Formats(), ", "))
}

func newReportCommand() *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use:   "report DIR",
		Short: "Prints the result of a run in another format",
		Long: `Prints what a run came to, from the result.json in its directory. A run that was
killed has none, and one that is damaged cannot be read; the evidence is judged
then. The exit code is 0 whatever the
rulings: judge gives the run's.`,
		Example: `  stormctl run examples/breaker.yaml --out out
  stormctl report out --format junit > junit.xml`,
		Args: exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := reports.Check(o.format); err != nil {
				return usageError{err}
			}
			return report(cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0], o.format, os.Getenv)
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func report(w, stderr io.Writer, dir, format string, getenv func(string) string) error {
	result, err := readOrJudge(stderr, dir)
	if err != nil {
		return err
	}
	if format == "text" {
		return reports.Text(w, result, textOptions(w, getenv))
	}
	return reports.Render(w, format, result)
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
