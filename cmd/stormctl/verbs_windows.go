package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stormctl/stormctl/chaos/experiment"
)

// watchOver returns: there are neither targets nor runs to watch over.
func watchOver() {}

// errNotHere says why there are no runs on Windows.
var errNotHere = errors.New("it takes processes, signals and locks as Unix has them: do it on Linux, macOS or in WSL, " +
	"and judge here what it leaves")

// doingVerbs are those that start, break and heal something: each says that it is not there.
func doingVerbs() (verbs []*cobra.Command) {
	for _, name := range []string{"run", "discover", "gate", "gameday", "proxy", "heal", "halt", "agent", "target"} {
		verbs = append(verbs, &cobra.Command{
			Use: name, Short: "Not there on Windows", DisableFlagParsing: true, ValidArgsFunction: cobra.NoFileCompletions,
			RunE: func(*cobra.Command, []string) error {
				return fmt.Errorf("%s is not there on Windows: %w", name, errNotHere)
			},
		})
	}
	return verbs
}

// lacks says that no experiment can be run here.
func lacks(*experiment.Experiment) error { return errNotHere }

// haltable does nothing: there is no halt that would find a load.
func haltable(parent context.Context, _ string, _ func(string)) (ctx context.Context, release func()) {
	return parent, func() {}
}
