package testbed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/targets"
)

// probeTimeout bounds how long a target may take to let a connection in.
const probeTimeout = 5 * time.Second

// Start starts the targets, those that are called before their callers, and
// returns when all are ready. Members of a cluster are ready once they have found
// each other, so that targets with hosts of their own are started at once, but for
// those that call one that is started later.
func (b *Testbed) Start(ctx context.Context, say func(string)) error {
	for order := b.order(); len(order) > 0; {
		next := b.batch(order)
		if err := b.startAll(ctx, next, say); err != nil {
			return err
		}
		order = slices.DeleteFunc(order, func(name string) bool { return slices.Contains(next, name) })
	}
	return nil
}

// batch is the targets to start next, of those that are left.
func (b *Testbed) batch(left []string) []string {
	next := []string{left[0]}
	for _, name := range left[1:] {
		if b.ownHost(left[0]) && b.ownHost(name) && !b.calls(name, left) {
			next = append(next, name)
		}
	}
	return next
}

// calls reports whether a link leads from a target to one of some.
func (b *Testbed) calls(name string, some []string) bool {
	for _, l := range b.x.Links {
		if l.From == name && slices.Contains(some, l.To) {
			return true
		}
	}
	return false
}

// startAll starts targets at once. What is started when one fails is among those
// that run.
func (b *Testbed) startAll(ctx context.Context, names []string, say func(string)) error {
	if len(names) == 1 && len(b.instances(names[0])) > 1 {
		return b.startInstances(ctx, names[0], say)
	}
	starting, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	errs := make([]error, len(names))
	started := make([]*targets.Running, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		say("starting " + name)
		target := b.x.Targets[name]
		if target.URL != "" {
			errs[i] = b.reach(ctx, name)
			continue
		}
		var p targets.Process
		if p, errs[i] = b.process(name, target); errs[i] != nil {
			break
		}
		wg.Go(func() {
			if started[i], errs[i] = targets.Start(starting, p); errs[i] != nil {
				fail(fmt.Errorf("target %s did not start", name))
			}
		})
	}
	wg.Wait()
	for i, name := range names {
		if started[i] != nil {
			b.running[name] = started[i]
			if errs[i] == nil && b.x.Targets[name].Secure() {
				errs[i] = b.probe(ctx, name)
			}
		}
		if errs[i] != nil {
			errs[i] = fmt.Errorf("target %s: %w", name, errs[i])
		}
	}
	return errors.Join(errs...)
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
