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

	addrs   map[string]netip.AddrPort // of the targets, by name; none of one on a unix socket
	hosts   map[string]string         // what a caller writes into the Host header
	tls     authority
	files   map[string]map[string]string // by link with TLS, and what they are: ca, cert, key
	running map[string]*targets.Running
	spoken  map[string]string // with the targets that had the choice
}

// Prepare gives every target and link its address and binds the links. It
// starts no target. Close is its undo.
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
	for _, name := range slices.Sorted(maps.Keys(x.Targets)) {
		if _, ok := x.Targets[name].Socket(); ok { // it leads to no other machine
			b.hosts[name] = "localhost"
			continue
		}
		addrs, err := b.resolve(ctx, name)
		if err != nil {
			return b, err
		}
		b.addrs[name] = b.choose(ctx, name, addrs)
	}
	for _, name := range slices.Sorted(maps.Keys(x.Links)) {
		relay, err := b.link(name)
		if err != nil {
			return b, fmt.Errorf("link %s: %w", name, err)
		}
		b.Relays[name] = relay
	}
	return b, nil
}

// Close ends links and targets, callers before the called, and what the lease
// still holds: the undo of Prepare, Start and Hold. It may be called again.
func (b *Testbed) Close() error {
	errs := []error{b.closeLinks()}
	for _, name := range slices.Backward(b.order()) {
		if r := b.running[name]; r != nil {
			if err := r.Stop(); err != nil {
				errs = append(errs, fmt.Errorf("stop target %s: %w", name, err))
			}
			delete(b.running, name)
		}
	}
	if b.lease != nil {
		errs = append(errs, b.lease.Close())
	}
	return errors.Join(errs...)
}
