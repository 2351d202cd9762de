package testbed

import (
	"context"
	"errors"
	"fmt"

	"github.com/stormctl/stormctl/chaos/host"
	"github.com/stormctl/stormctl/chaos/timeline"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/chaos/unit"
)

// regionLoss is what the loss of a region is, as event i. One without processes ends
// with us and needs no lease, so it is no fault of the host.
func (b *Testbed) regionLoss(i int, leased host.Leased, region string) timeline.Fault {
	targets, links := b.x.InRegion(region)
	cut := cutOff{region: region}
	for _, name := range links {
		cut.links = append(cut.links, onLink{b.Relays[name], i, toxic.Partition{Select: toxic.All}, toxic.Both})
	}
	if len(targets) == 0 {
		return cut
	}
	lost := regionLoss{cutOff: cut}
	for _, target := range targets {
		if b.x.Targets[target].PidFile != "" {
			lost.stops = append(lost.stops, host.Pause{Leased: leased, Subject: b.pidFile(target)})
			continue
		}
		for _, one := range b.instances(target) {
			lost.stops = append(lost.stops, host.Pause{Leased: leased, Subject: ownTarget{b, one}})
		}
	}
	return lost
}

// cutOff is links that let nothing pass.
type cutOff struct {
	region string
	links  []onLink
}

func (f cutOff) Inject(ctx context.Context) (timeline.Heal, error) {
	return injectAll(ctx, f.links)
}

func (f cutOff) String() string { return "loss of region " + f.region }

// Counts is what the links counted together.
func (f cutOff) Counts() (hit, overflow uint64) {
	for _, l := range f.links {
		h, o := l.Counts()
		hit, overflow = hit+h, overflow+o
	}
	return hit, overflow
}

// regionLoss is besides processes that stand still. They are given back before the
// links are: what the links held is then not the first thing that nobody answers.
type regionLoss struct {
	cutOff
	stops []host.Pause
}

// Inject makes all of it or none.
func (f regionLoss) Inject(ctx context.Context) (timeline.Heal, error) {
	reconnect, err := f.cutOff.Inject(ctx)
	if err != nil {
		return nil, err
	}
	proceed, err := injectAll(ctx, f.stops)
	if err != nil {
		return nil, errors.Join(err, reconnect(context.WithoutCancel(ctx)))
	}
	return func(ctx context.Context) error { return errors.Join(proceed(ctx), reconnect(ctx)) }, nil
}

// Check implements host.Fault.
func (f regionLoss) Check(ctx context.Context) error {
	var errs []error
	for _, p := range f.stops {
		errs = append(errs, p.Check(ctx))
	}
	return errors.Join(errs...)
}

// Plan implements host.Fault.
func (f regionLoss) Plan() host.Plan {
	who := unit.List(f.stops, ", ", func(p host.Pause) string { return p.Subject.String() })
	return host.Plan{
		Touches: fmt.Sprintf("nothing passes %d links; SIGSTOP to %s, and all descendants", len(f.links), who),
		Undo:    "SIGCONT, and the links pass again",
	}
}

// injectAll injects all faults or, with an error, none. Its heal goes through all of
// them whatever one says, the last first, and may be called again for those that are
// not healed.
func injectAll[F timeline.Fault](ctx context.Context, faults []F) (timeline.Heal, error) {
	var heals []timeline.Heal
	heal := func(ctx context.Context) error {
		var errs []error
		for i := len(heals) - 1; i >= 0; i-- {
			if heals[i] == nil {
				continue
			}
			if err := heals[i](ctx); err != nil {
				errs = append(errs, err)
				continue
			}
			heals[i] = nil
		}
		return errors.Join(errs...)
	}
	for _, f := range faults {
		undo, err := f.Inject(ctx)
		if err != nil {
			return nil, errors.Join(err, heal(context.WithoutCancel(ctx)))
		}
		heals = append(heals, undo)
	}
	return heal, nil
}
