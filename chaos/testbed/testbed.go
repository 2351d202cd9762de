package testbed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/host"
	"github.com/stormctl/stormctl/chaos/lease"
	"github.com/stormctl/stormctl/chaos/proxy"
	"github.com/stormctl/stormctl/targets"
)

// Options are what a test bed needs beside its experiment. The zero Options are
// those of one that is only looked at.
type Options struct {
	Dir  string   // run directory
	Root *os.Root // the same, opened when it was made: what is written below it is written by way of this
	Run  uint64   // the number of the run, in the ids of its requests
	Self []string // the command that serves a reference target, without its arguments
	Soak bool     // the targets run for long: of their output the beginning and the end are kept
}

// A Testbed is the targets and links of one run, from their addresses to their
// end. Its methods are for one goroutine; the faults of its Timeline may act
// beside Watch.
type Testbed struct {
	Relays map[string]proxy.Relay // by link; none once it is closed
	Notes  []string               // what was chosen, for whoever reads the result

	x     *experiment.Experiment
	in    *experiment.Inputs
	opts  Options
	allow allowList
	lease *lease.Lease // nil if nothing may outlive us

	network *host.Network // of targets that have hosts of their own; nil if none has; Hold makes it

	addrs   map[string]netip.AddrPort // of the targets and their instances, by name; none of one on a unix socket
	hosts   map[string]string         // what a caller writes into the Host header
	tls     authority
	files   map[string]map[string]string // by link with TLS, and what they are: ca, cert, key
	running map[string]*targets.Running  // by instance
	spoken  map[string]string            // with the targets that had the choice
}

// Prepare gives every target its address and binds the links, but those of callers
// that have hosts of their own. It starts no target. Close is its undo.
func Prepare(ctx context.Context, x *experiment.Experiment, in *experiment.Inputs, opts Options) (b *Testbed, err error) {
	b = &Testbed{
		x: x, in: in, opts: opts, Relays: map[string]proxy.Relay{},
		addrs: map[string]netip.AddrPort{}, hosts: map[string]string{}, spoken: map[string]string{},
		tls: authority{root: opts.Root, dir: filepath.Join(opts.Dir, tlsFolder)}, files: map[string]map[string]string{},
		running: map[string]*targets.Running{},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if b.allow, err = parseAllow(x.Limits.Allow); err != nil {
		return b, err
	}
	if err := b.chooseHosts(); err != nil {
		return b, err
	}
	for _, name := range slices.Sorted(maps.Keys(x.Targets)) {
		if _, ok := x.Targets[name].Socket(); ok { // it leads to no other machine
			b.hosts[name] = "localhost"
			continue
		}
		if b.ownHost(name) {
			continue
		}
		addrs, err := b.resolve(ctx, name)
		if err != nil {
			return b, err
		}
		b.addrs[name] = b.choose(ctx, name, addrs)
		if err := b.spread(name); err != nil {
			return b, err
		}
	}
	return b, b.bind(func(from string) bool { return !b.ownHost(from) })
}

// bind binds the links of some callers.
func (b *Testbed) bind(of func(from string) bool) error {
	for _, name := range slices.Sorted(maps.Keys(b.x.Links)) {
		if !of(b.x.Links[name].From) {
			continue
		}
		relay, err := b.link(name)
		if err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
		b.Relays[name] = relay
	}
	return nil
}

// Close ends links and targets, callers before the called, and what the lease
// still holds: the undo of Prepare, Start and Hold. It may be called again.
func (b *Testbed) Close() error {
	errs := []error{b.closeLinks()}
	for _, name := range slices.Backward(b.order()) {
		for _, one := range slices.Backward(b.instances(name)) {
			if r := b.running[one]; r != nil {
				if err := r.Stop(); err != nil {
					errs = append(errs, fmt.Errorf("stop target %s: %w", one, err))
				}
				delete(b.running, one)
			}
		}
	}
	if b.lease != nil {
		errs = append(errs, b.lease.Close())
	}
	return errors.Join(errs...)
}
