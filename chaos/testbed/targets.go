package testbed

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/targets"
)

// probeTimeout bounds how long a target may take to let a connection in.
const probeTimeout = 5 * time.Second

// Start starts the targets, those that are called before their callers, and
// returns when all are ready.
func (b *Testbed) Start(ctx context.Context, say func(string)) error {
	for _, name := range b.order() {
		target := b.x.Targets[name]
		say("starting " + name)
		if target.URL != "" {
			if err := b.reach(ctx, name); err != nil {
				return fmt.Errorf("target %s: %w", name, err)
			}
			continue
		}
		p, err := b.process(name, target)
		if err != nil {
			return fmt.Errorf("target %s: %w", name, err)
		}
		r, err := targets.Start(ctx, p)
		if err != nil {
			return fmt.Errorf("target %s: %w", name, err)
		}
		b.running[name] = r
		if target.Secure() {
			if err := b.probe(ctx, name); err != nil {
				return fmt.Errorf("target %s: %w", name, err)
			}
		}
	}
	return nil
}

// reach finds out whether a target that runs already is there, and lets us in.
func (b *Testbed) reach(ctx context.Context, name string) error {
	_, socket := b.x.Targets[name].Socket()
	if !socket {
		if err := targets.Reachable(ctx, urlOf("http", b.addrs[name].String()), probeTimeout); err != nil {
			return err
		}
	}
	if socket || b.x.Targets[name].Secure() {
		return b.probe(ctx, name)
	}
	return nil
}

// probe opens a connection to a target as routes do. One that may choose what is
// spoken does so then, for the whole run.
func (b *Testbed) probe(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	protocol, err := load.Probe(ctx, b.routeTo(name))
	if err == nil && b.x.Targets[name].Protocol == load.Auto {
		b.spoken[name] = protocol
		b.Notes = append(b.Notes, fmt.Sprintf("target %s speaks %s, as it chose itself", name, protocol))
	}
	return err
}

// order lists the targets so that the called come before the callers; a cycle
// is broken where its first name in the alphabet stands.
func (b *Testbed) order() []string {
	var order []string
	var visit func(name string)
	visit = func(name string) {
		if slices.Contains(order, name) {
			return
		}
		order = append(order, name) // marks a cycle's entry; moved to its place below
		for _, link := range slices.Sorted(maps.Keys(b.x.Links)) {
			if l := b.x.Links[link]; l.From == name {
				visit(l.To)
			}
		}
		i := slices.Index(order, name)
		order = append(slices.Delete(order, i, i+1), name)
	}
	for _, name := range slices.Sorted(maps.Keys(b.x.Targets)) {
		visit(name)
	}
	return order
}
