//go:build unix

package chaos

import (
	"errors"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
)

// errNotSteady ends the load of a system that was not well to begin with.
var errNotSteady = errors.New("not in its steady state")

// notSteady says why the steady state is not confirmed by what is recorded
// until now; "" if it is, or nothing is claimed of it.
func notSteady(rec *recorder, x *experiment.Experiment, now time.Duration) string {
	if !claimsSteady(x) {
		return ""
	}
	run, err := rec.observed()
	if err != nil {
		return "the evidence cannot be read back: " + err.Error()
	}
	run.Brief = true
	for _, c := range x.Claims {
		if c.Steady == nil {
			continue
		}
		if v := c.Steady.Ready(run, now); v.Ruling != judge.Held {
			return v.Claim + ": " + v.Reason
		}
	}
	return ""
}

func claimsSteady(x *experiment.Experiment) bool {
	return slices.ContainsFunc(x.Claims, func(c experiment.Claim) bool { return c.Steady != nil })
}
