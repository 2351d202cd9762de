package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/reports"
)

// judgeOptions are the flags of judge.
type judgeOptions struct {
	json   bool
	verify bool
	set    []string
}

func (o *judgeOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print the result as JSON instead of the summary")
	f.BoolVar(&o.verify, "verify", false, "first compare the files with the chain of hashes in result.json, and do not rule on others")
	f.StringArrayVar(&o.set, "set", nil,
		"claim something else of the same run: `KEY=VALUE` like claims[1].breaker.failures=3; may be given several times")
}

func newJudgeCommand() *cobra.Command {
	var o judgeOptions
	cmd := &cobra.Command{
		Use:   "judge DIR",
		Short: "Rules again on the evidence of a run",
		Long: `Rules again on the claims of a run, from the evidence in its directory: the same
rulings as at the time, also after a kill -9 in the middle. Nothing is written.
The exit code is that of the run. With --set it rules on other claims about the
same run: what would have held? docs/claims has a page for each claim, with what
leaves it open and what to do. With --verify it rules only if the files are those
that the run wrote: whoever can change result.json too is not found out.`,
		Example: `  stormctl run examples/breaker.yaml --out out
  stormctl judge out
  stormctl judge out --set 'claims[1].breaker.failures=3'`,
		Args: exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.verify {
				if err := chaos.Verify(args[0]); err != nil {
					return err
				}
			}
			result, err := chaos.Judge(args[0], o.set...)
			if err != nil {
				return err
			}
			if err := printResult(cmd.OutOrStdout(), result, o.json, textOptions(cmd.OutOrStdout(), os.Getenv)); err != nil {
				return err
			}
			return exitOf(result).err()
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// printResult prints a result for people, or for machines.
func printResult(w io.Writer, r *result.Result, asJSON bool, look reports.TextOptions) error {
	if asJSON {
		return reports.JSON(w, r)
	}
	return reports.Text(w, r, look)
}
