package testbed

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/stormctl/stormctl/targets"
)

// instances are the names of the instances of a target: its own, if there is one.
func (b *Testbed) instances(target string) []string {
	t := b.x.Targets[target]
	if t == nil || t.Instances <= 1 {
		return []string{target}
	}
	names := make([]string, t.Instances)
	for i := range names {
		names[i] = fmt.Sprintf("%s#%d", target, i+1)
	}
	return names
}

// targetOf is the target that an instance is one of.
func (b *Testbed) targetOf(instance string) string {
	target, _, _ := strings.Cut(instance, "#")
	return target
}

// everyInstance are those of all targets.
func (b *Testbed) everyInstance(targets []string) (all []string) {
	for _, name := range targets {
		all = append(all, b.instances(name)...)
	}
	return all
}

// spread gives each instance of a target an address; the first has that of the target.
func (b *Testbed) spread(target string) error {
	for i, name := range b.instances(target) {
		if i == 0 {
			b.addrs[name] = b.addrs[target]
			continue
		}
		text, err := freeAddress()
		if err != nil {
			return err
		}
		if b.addrs[name], err = netip.ParseAddrPort(text); err != nil {
			return err
		}
	}
	return nil
}

// startInstances starts one after another.
func (b *Testbed) startInstances(ctx context.Context, target string, say func(string)) error {
	for _, name := range b.instances(target) {
		say("starting " + name)
		p, err := b.process(name, b.x.Targets[target])
		if err == nil {
			b.running[name], err = targets.Start(ctx, p)
		}
		if err != nil {
			delete(b.running, name)
			return fmt.Errorf("target %s: %w", name, err)
		}
	}
	if b.x.Targets[target].Secure() {
		if err := b.probe(ctx, target); err != nil {
			return fmt.Errorf("target %s: %w", target, err)
		}
	}
	return nil
}

// together is targets to which the same happens at once.
type together []startable

func (t together) Kill() error { return errors.Join(each(t, startable.Kill)...) }

func (t together) Restart(ctx context.Context) error {
	return errors.Join(each(t, func(one startable) error { return one.Restart(ctx) })...)
}
