package judge

import "time"

// Power implements Planned. A fault must last for longer than the alert may take to
// fire, and the load go on for longer than it may take to resolve.
func (c Alert) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	var mine []PlannedFault
	longest, after := PlannedFault{}, time.Duration(0)
	for i, f := range p.Faults {
		if c.On != "" && f.On != c.On {
			continue
		}
		if len(mine) == 0 || f.Healed-f.Injected > longest.Healed-longest.Injected {
			longest = f
		}
		mine = append(mine, f)
		next := p.End
		for j, other := range p.Faults {
			if i != j && other.Injected >= f.Healed {
				next = min(next, other.Injected)
			}
		}
		after = max(after, next-f.Healed)
	}
	if len(mine) == 0 {
		w.weak("", "chaos", "add a fault that people are to be told of", "there is no fault%s that an alert could be of", c.onText())
		return w.found
	}
	if length := longest.Healed - longest.Injected; c.FiresWithin > 0 && length <= c.FiresWithin {
		w.weak("fires_within", p.at(longest, "for"), "let it last longer than "+c.FiresWithin.String(),
			"no fault lasts longer than %s, so that an alert that never fires would not be refuted", length)
	}
	if c.ResolvesWithin > 0 && after <= c.ResolvesWithin {
		w.weak("resolves_within", p.LengthKey, "let the load go on for longer than "+c.ResolvesWithin.String()+" after a fault",
			"there are at most %s without a fault after one, so that an alert that never resolves would not be refuted", after)
	}
	return w.found
}
