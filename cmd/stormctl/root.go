package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/reports"
)

// execute runs one command line. Results go to stdout, progress and
// diagnostics to stderr; each error is told once.
func execute(args []string, stdout, stderr io.Writer) exitCode {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	if err == nil {
		return exitHeld
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return code
	}
	if cmd == root && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		err = unknownVerb(root, args[0]) // it is why its flags are unknown too
	}
	tell(stderr, errorText(err))
	if _, ok := errors.AsType[usageError](err); ok {
		if cmd.Name() == "help" {
			cmd = root
		}
		tell(stderr, fmt.Sprintf("Run '%s --help' for what is possible.", cmd.CommandPath()))
	}
	return exitFailed
}

// unknownVerb says what was probably meant: a verb that is spelt nearly so, or to
// run an experiment.
func unknownVerb(root *cobra.Command, verb string) error {
	err := fmt.Errorf("unknown verb %q", verb)
	near := root.SuggestionsFor(verb)
	if info, statErr := os.Stat(verb); len(near) == 0 && statErr == nil {
		near = []string{"run " + verb}
		if info.IsDir() {
			near = []string{"report " + verb}
		}
	}
	if len(near) > 0 {
		err = fmt.Errorf("%w: did you mean %s?", err, strings.Join(near, " or "))
	}
	return usageError{err}
}

// errorText is an error for people. What is wrong with an experiment file
// stands alone, FILE:LINE:COLUMN at the start of its lines, as editors expect
// it; anything else says that it comes from us.
func errorText(err error) string {
	if invalid, ok := errors.AsType[strict.Errors](err); ok {
		// a file may have any name
		return unit.List(invalid, "\n", func(wrong *strict.Error) string { return reports.Clean(wrong.Error()) })
	}
	lines := reports.CleanLines(err.Error()) // it may quote what a target wrote
	return "stormctl: " + strings.ReplaceAll(lines, "\n", "\n  ")
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "stormctl VERB",
		Short: "Proves that a system's resilience patterns hold",
		Long: `stormctl drives load at a system, breaks what the system leans on, watches both
sides on one clock, and rules on claims about its resilience patterns: breakers,
retries, backoff, bulkheads, timeouts, recovery.

Exit codes:
  0  every claim held
  1  at least one claim is refuted
  2  could not run: usage, a bad file, a target that is not there
  3  inconclusive: the evidence does not suffice for some claim, none is refuted
  4  stopped early by a limit or a signal; everything is healed`,
		Example: `  stormctl validate examples/breaker.yaml
  stormctl run examples/breaker.yaml`,
		Args:                  cobra.ArbitraryArgs, // so that we, not cobra, say what is wrong with them
		DisableFlagsInUseLine: true,
		SilenceUsage:          true,
		SilenceErrors:         true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("no verb given")}
			}
			return unknownVerb(cmd, args[0])
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		newInitCommand(),
		newLoadCommand(),
		newValidateCommand(),
		newSchemaCommand(),
		newJudgeCommand(),
		newWatchCommand(),
		newReportCommand(),
		newCompareCommand(),
		newVersionCommand(),
	)
	root.AddCommand(doingVerbs()...)
	root.Version = ownVersion()
	root.SetVersionTemplate("{{.Version}}\n")
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = func(_ *cobra.Command, args []string) error { return helpTopic(root, args) }
	}
	completeAll(root)
	return root
}

// helpTopic wants verbs to be there that help is asked for.
func helpTopic(root *cobra.Command, args []string) error {
	if cmd, _, err := root.Find(args); len(args) > 0 && (err != nil || cmd == root) {
		return unknownVerb(root, args[0])
	}
	return nil
}

// usageError is a command line that cannot be understood; the way to help is
// printed beside it.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// atLeastOne wants one argument or more, called what: "FILE".
func atLeastOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError{fmt.Errorf("%s is missing", what)}
		}
		return nil
	}
}

// exactly wants these arguments and no others.
func exactly(what ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(what):
			return usageError{fmt.Errorf("%s is missing", what[len(args)])}
		case len(args) > len(what):
			return usageError{fmt.Errorf("unexpected argument %q", args[len(what)])}
		}
		return nil
	}
}

// upTo allows these arguments, from the first on, and no others.
func upTo(what ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > len(what) {
			return usageError{fmt.Errorf("unexpected argument %q", args[len(what)])}
		}
		return nil
	}
}
