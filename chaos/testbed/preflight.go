package testbed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/host"
)

// Preflight is what a run would touch, and what keeps it from running.
type Preflight struct {
	// Addresses are those of the targets by name. Load and links would go to the
	// first that lets us in. Targets that get a free port are absent.
	Addresses map[string][]string
	Plans     map[int]host.Plan // of the faults that happen outside our process, by index of the event; those of the palette follow
	Refusals  []error
}

// Look finds out what a run of x would touch. It resolves names and asks the
// kernel what it has, and starts, sends and breaks nothing.
func Look(ctx context.Context, x *experiment.Experiment) Preflight {
	p := Preflight{Addresses: map[string][]string{}, Plans: map[int]host.Plan{}}
	refuse := func(err error) {
		if err != nil {
			p.Refusals = append(p.Refusals, err)
		}
	}
	b := &Testbed{x: x, hosts: map[string]string{}, addrs: map[string]netip.AddrPort{}}
	var err error
	if b.allow, err = parseAllow(x.Limits.Allow); err != nil {
		refuse(err)
		return p
	}
	for _, name := range slices.Sorted(maps.Keys(x.Targets)) {
		t := x.Targets[name]
		if _, ok := t.Socket(); ok {
			continue // its url is its address
		}
		if t.URL == "" && (t.Process == nil || t.Process.Listen == "") {
			continue
		}
		addrs, err := b.resolve(ctx, name)
		if err != nil {
			refuse(err)
			continue
		}
		for _, addr := range addrs {
			p.Addresses[name] = append(p.Addresses[name], addr.String())
		}
	}
	refuse(b.chooseHosts())
	faults := append(b.Timeline(0), b.palette()...)
	for _, e := range faults {
		if f, ok := e.Fault.(interface{ Plan() host.Plan }); ok {
			p.Plans[e.Index] = f.Plan()
		}
	}
	refuse(check(ctx, x, faults))
	refuse(b.checkProcesses(ctx))
	refuse(CheckStopFile(x.Limits.StopFile))
	return p
}

// CheckStopFile is an error if the stop file is there: a run that began
// nevertheless would end at once.
func CheckStopFile(file string) error {
	if file == "" {
		return nil
	}
	switch _, err := os.Lstat(file); {
	case err == nil:
		return fmt.Errorf("the stop file %s is there: remove it to run", file)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return fmt.Errorf("look for the stop file: %w", err) // what cannot be seen must not be taken for absent
	}
}
