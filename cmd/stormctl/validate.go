package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/reports"
	"github.com/stormctl/stormctl/targets/reference"
)

// validateOptions are the flags of validate.
type validateOptions struct {
	set []string // KEY=VALUE
}

func (o *validateOptions) AddFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.set, "set", nil, "change the experiment: `KEY=VALUE`, as for run; may be repeated")
}

func newValidateCommand() *cobra.Command {
	var o validateOptions
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Checks experiment files without running them",
		Long: `Checks experiment files without running them. A sound file is told on stdout as
"FILE: ok"; all that is wrong with the others is told on stderr, a line each:
FILE:LINE:COLUMN, what is wrong, and what would be right. The exit code is 0 if
all are sound, otherwise 2.

Of a sound file it is told besides which parts of its claims the plan cannot
decide, whatever the system does: too low a rate, a fault too short, a status
that is never injected. Each is a line on stderr with the key that would settle
it, marked "warning:"; the exit code stays 0. So is each fault for which this
system has not what it takes: run refuses it. docs/claims has a page for each
claim, with what leaves it open and what to do.`,
		Example: `  stormctl validate examples/breaker.yaml
  stormctl validate examples/*.yaml`,
		Args: atLeastOne("FILE"),
		RunE: func(cmd *cobra.Command, files []string) error {
			return validate(cmd.OutOrStdout(), cmd.ErrOrStderr(), files, o.set).err()
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func validate(stdout, stderr io.Writer, files, set []string) exitCode {
	code := exitHeld
	for _, file := range files {
		x, weak, err := loadExperiment(file, set)
		if err != nil {
			tell(stderr, errorText(err))
			code = exitFailed
			continue
		}
		for _, w := range weak {
			tell(stderr, reports.Clean(w.String()))
		}
		if err := lacks(x); err != nil {
			for line := range strings.Lines(err.Error()) {
				tell(stderr, fmt.Sprintf("%s: warning: cannot run here: %s", reports.Clean(file), reports.Clean(strings.TrimSpace(line))))
			}
		}
		if _, err := fmt.Fprintf(stdout, "%s: ok\n", reports.Clean(file)); err != nil && !readerGone(err) {
			tell(stderr, errorText(err))
			return exitFailed
		}
	}
	return code
}

// loadExperiment reads an experiment, and what its plan cannot decide.
func loadExperiment(file string, set []string) (x *experiment.Experiment, weak []experiment.Weakness, err error) {
	j, err := readJob(file, set)
	return j.x, j.weak, err
}

// job is one experiment with the file it came from.
type job struct {
	file string
	x    *experiment.Experiment
	weak []experiment.Weakness // what its plan cannot decide
	out  string                // "" is the default

	origin experiment.Origin
}

// readJob reads an experiment whose reference targets are those that this program
// serves.
func readJob(file string, set []string) (j job, err error) {
	j.file = file
	j.x, err = experiment.ReadFile(file, experiment.Options{
		Here: true, Set: set, References: reference.Names(), Reference: reference.Check,
		Weak:   func(w experiment.Weakness) { j.weak = append(j.weak, w) },
		Origin: &j.origin,
	})
	j.origin.File = fromRepository(file)
	return j, err
}
