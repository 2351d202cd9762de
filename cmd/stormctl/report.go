package main

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos"
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
killed has none; its evidence is judged first. The exit code is 0 whatever the
rulings: judge gives the run's.`,
		Example: `  stormctl run examples/breaker.yaml --out out
  stormctl report out --format junit > junit.xml`,
		Args: exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := reports.Check(o.format); err != nil {
				return usageError{err}
			}
			return report(cmd.OutOrStdout(), args[0], o.format, os.Getenv)
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func report(w io.Writer, dir, format string, getenv func(string) string) error {
	result, err := reports.Read(dir)
	if errors.Is(err, reports.ErrNoResult) {
		result, err = chaos.Judge(dir)
	}
	if err != nil {
		return err
	}
	if format == "text" {
		return reports.Text(w, result, textOptions(w, getenv))
	}
	return reports.Render(w, format, result)
}
