//go:build unix

package main

import (
	"github.com/spf13/cobra"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/testbed"
	"github.com/stormctl/stormctl/targets"
)

// watchOver is what this program does where it was started to watch over a target or
// over a run; elsewhere it returns.
func watchOver() {
	targets.Supervise()
	lease.Guard()
}

// doingVerbs are those that start, break and heal something.
func doingVerbs() []*cobra.Command {
	return []*cobra.Command{
		newRunCommand(), newDiscoverCommand(), newGateCommand(), newGamedayCommand(), newProxyCommand(),
		newHealCommand(), newHaltCommand(), newAgentCommand(), newTargetCommand(),
	}
}

// lacks says what this system has not that an experiment takes.
func lacks(x *experiment.Experiment) error { return testbed.Lacks(x) }
