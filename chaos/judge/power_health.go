package judge

import (
	"fmt"
	"slices"
	"time"
)

// Power implements Planned. It takes a fault that takes all calls to one instance, for long enough to see that it is not called
// any more, and load after its healing.
func (c Health) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	if !p.wired(c.Links) {
		return nil
	}
	alone := slices.DeleteFunc(p.onPath(c.Links), func(f PlannedFault) bool { return !c.alone(p, f) })
	for _, part := range []struct {
		name    string
		claimed bool
	}{{"out_within", c.OutWithin > 0}, {"back_within", c.BackWithin > 0}} {
		if part.claimed && len(alone) == 0 {
			w.weak(part.name, "chaos", fmt.Sprintf("add errors, reset, hang or kill of %q", c.Links[0]),
				"no fault takes all calls to one of %q while the others are well", c.Links)
		}
	}
	if len(alone) > 0 {
		f := last(alone)
		if left := f.Healed - f.Injected - c.OutWithin; c.OutWithin > 0 && p.calls(c.Links, "", f.Healed-max(0, left),
			f.Healed) < 1.2*leastElsewhere {
			w.weak("out_within", p.at(f, "for"), "let it last for longer, or offer more",
				"%s lasts %s, and %d calls to the others must come after %s to see that it is called no more", p.at(f, ""),
				f.Healed-f.Injected, leastElsewhere, c.OutWithin)
		}
		if c.BackWithin > 0 && !slices.ContainsFunc(alone,
			func(f PlannedFault) bool { return !f.ForGood && f.Healed+c.BackWithin <= p.End }) {
			w.weak("back_within", p.LengthKey, "let the load last for longer",
				"the load ends before an instance has had %s after its healing", c.BackWithin)
		}
	}
	if first, fault := p.first(); c.Keeps > 0 && fault < 0 {
		w.weak("keeps", "chaos", "add a fault on something that the instances share", "no fault is injected")
	} else if rate := p.rate(c.Links, "", first, min(p.End,
		first+time.Second)); c.Keeps > 0 && rate < 1.2*leastExpected*float64(len(c.Links)) {
		w.weak("keeps", p.RateKey, "offer more than "+rateUp(1.2*leastExpected*float64(len(c.Links))),
			"an instance is expected to get %s a second, and at least %d are needed to tell one that is not called from chance",
			expected(rate/float64(len(c.Links)), "call", "calls"), leastExpected)
	}
	return w.found
}

// alone reports whether a fault takes all calls to one of the instances, which are recorded, and to no other.
func (c Health) alone(p Plan, f PlannedFault) bool {
	_, lost := lossOf(&f.Injection)
	if !lost || f.Share < 0.95 || f.First > 0 || f.Cycle || f.Does().Refuses {
		return false
	}
	n := 0
	for _, name := range c.Links {
		if slices.ContainsFunc(p.onPath(Links{name}), func(x PlannedFault) bool { return x.Index == f.Index }) {
			n++
		}
	}
	return n == 1
}
