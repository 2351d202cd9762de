package testbed

import (
	"context"
	"errors"
	"fmt"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/host"
	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/timeline"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Hold makes the run known to the machine, and what it would break sure to be
// undone by the lease that it returns, nil if there is none and need not be. Under
// the lease it makes the hosts that targets have of their own, and binds their links.
// Nothing is to be started if a fault could not be made, or had no guardian: that
// is an error. lost is told why the lease is lost, say of a run that is not known.
// Close is its undo.
func (b *Testbed) Hold(ctx context.Context, lost, say func(string)) (*lease.Lease, error) {
	faults := append(b.Timeline(0), b.palette()...)
	if err := errors.Join(CheckStopFile(b.x.Limits.StopFile), check(ctx, b.x, faults), b.checkProcesses(ctx)); err != nil {
		return nil, err
	}
	guardian := outlives(faults) || b.network != nil
	held, err := lease.Open(lease.Options{Name: b.x.Name, Dir: b.opts.Dir, Guardian: guardian, Lost: lost})
	switch {
	case err == nil:
		b.lease = held
	case guardian:
		return nil, fmt.Errorf("some faults or hosts of the experiment would outlive stormctl, and cannot be held: %w", err)
	default:
		say("stormctl halt will not find this run: " + err.Error())
	}
	return b.lease, b.makeHosts(ctx)
}

// check asks every fault whether it could be made, before anything is started.
// The error names each event that could not, and what is missing.
func check(ctx context.Context, x *experiment.Experiment, t timeline.Timeline) error {
	return checkEach(x, t, func(f host.Fault) error {
		if err := host.Lacks(f); err != nil {
			return err
		}
		return f.Check(ctx)
	})
}

// Lacks names each event of x for which this system has not what it takes, on
// whatever machine, and what that is.
func Lacks(x *experiment.Experiment) error {
	b := &Testbed{x: x, hosts: map[string]string{}}
	errs := []error{checkEach(x, b.Timeline(0), host.Lacks)}
	if names := x.OwnHosts(); len(names) > 0 {
		if err := host.Lacks(&host.Network{}); err != nil {
			errs = append(errs, fmt.Errorf("target %s: host: own: %w", names[0], err))
		}
	}
	return errors.Join(errs...)
}

func checkEach(x *experiment.Experiment, t timeline.Timeline, check func(host.Fault) error) error {
	var errs []error
	for _, e := range t {
		if f, ok := e.Fault.(host.Fault); ok {
			if err := check(f); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", placeOf(x, e.Index), err))
			}
		}
	}
	return errors.Join(errs...)
}

// placeOf is where in the file event i is, for people.
func placeOf(x *experiment.Experiment, i int) string {
	if i < len(x.Chaos) {
		return fmt.Sprintf("chaos[%d] (%s at %s)", i, x.Chaos[i], unit.FormatDuration(x.Chaos[i].At))
	}
	i -= len(x.Chaos)
	return fmt.Sprintf("gameday.palette[%d] (%s)", i, x.GameDay.Palette[i])
}

// outlives reports whether some fault could outlive us, and needs a guardian.
func outlives(t timeline.Timeline) bool {
	for _, e := range t {
		switch e.Fault.(type) {
		case host.Kill:
		case host.Fault:
			return true
		}
	}
	return false
}
