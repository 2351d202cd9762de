package judge

import "github.com/stormctl/stormctl/chaos/unit"

// Power implements Planned. It takes values to expire while the load lasts, with
// requests under way.
func (c Stampede) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	if !p.wired(c.Link) {
		return nil
	}
	if periods := float64(p.End) / float64(max(c.TTL, 1)); periods < leastExpiries+1 {
		w.weak("", p.LengthKey, "let it last longer than "+unit.FormatDuration((leastExpiries+1)*c.TTL),
			"a value that is fresh for %s expires at most %s in %s, and at least %d expiries are needed",
			unit.FormatDuration(c.TTL), often(max(0, int(periods))), unit.FormatDuration(p.End), leastExpiries)
	}
	return w.found
}
