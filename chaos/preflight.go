package chaos

import (
	"context"
	"net/netip"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/host"
)

// Preflight is what a run would touch, and what keeps it from running.
type Preflight struct {
	Addresses map[string][]string // of the targets by name: where load and links would go, to the first that lets us in; absent for those that get a free port
	Plans     map[int]host.Plan   // of the faults that happen outside our process, by index of the event
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
	s := &services{x: x, addrs: map[string]netip.AddrPort{}}
	var err error
	if s.allow, err = parseAllow(x.Limits.Allow); err != nil {
		refuse(err)
		return p
	}
	for _, name := range sorted(x.Targets) {
		t := x.Targets[name]
		if _, ok := t.Socket(); ok {
			continue // its url is its address
		}
		if t.URL == "" && (t.Process == nil || t.Process.Listen == "") {
			continue
		}
		addrs, err := s.resolve(ctx, name)
		if err != nil {
			refuse(err)
			continue
		}
		for _, addr := range addrs {
			p.Addresses[name] = append(p.Addresses[name], addr.String())
		}
	}
	faults := s.timeline()
	for _, e := range faults {
		if f, ok := e.Fault.(interface{ Plan() host.Plan }); ok {
			p.Plans[e.Index] = f.Plan()
		}
	}
	refuse(check(ctx, x, faults))
	refuse(stopFileThere(x.Limits.StopFile))
	return p
}
