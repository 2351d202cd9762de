package judge

import (
	"slices"
	"time"
)

// ofLinks reports whether all names are links: the others are audits.
func (p Plan) ofLinks(at Links) bool {
	return !slices.ContainsFunc(at, func(name string) bool { _, ok := p.Links[name]; return !ok })
}

// Power implements Planned. It takes faults, and somewhere to see that deliveries came out of order.
func (c Ordered) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	if !p.ofLinks(c.At) || p.wired(c.At) {
		if len(c.Delivered) == 0 {
			w.weak("delivered", "", "name by delivered a link or an audit that shows in which order events were delivered",
				"without that it is not known whether an order was hard to keep, so that nothing can be held")
		}
		if len(p.Faults) == 0 {
			w.weak("order", "chaos", "cut acknowledgements off, or kill the broker or a consumer",
				"nothing goes wrong, and without that an order is easily kept")
		}
	}
	return w.found
}

// Power implements Planned. It takes an outage that ends while load goes on, during which enough comes.
func (c Drains) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	if !p.wired(c.At) {
		return nil
	}
	best, n := -1, 0.0
	for i, f := range p.Faults {
		if came := p.calls(nil, c.Route, f.Injected, min(f.Healed, p.End)); came > n || best < 0 {
			best, n = i, came
		}
	}
	switch {
	case best < 0:
		w.weak("within", "chaos", "pause, cut off or kill the consumer", "nothing goes wrong, so that there is no backlog to drain")
	case p.Faults[best].ForGood || p.Faults[best].Healed >= p.End:
		w.weak("within", p.at(p.Faults[best], "for"), "heal it while the load goes on", "the outage is not over when the load ends")
	case n < 1.2*leastLost:
		w.weak("success", p.at(p.Faults[best], "for"), "let it last longer, or offer more",
			"%s of %s due during the outage, and at least %d are needed", dueText(n), c.Route, leastLost)
	}
	return w.found
}

// Power implements Planned. It takes requests that are under way when something is lost.
func (c Conserved) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	if len(p.Faults) == 0 {
		w.weak("tested", "chaos", "kill what moves things while it moves them, or fail one of its calls",
			"nothing goes wrong, and without that nothing is left off halfway")
		return w.found
	}
	n := 0.0
	for _, f := range p.Faults {
		n += p.calls(nil, c.Route, max(0, f.Injected-riskFor), min(max(f.Healed, f.Injected+time.Millisecond), p.End))
	}
	if n < 1.2*leastHalfway {
		w.weak("tested", p.at(last(p.Faults), "for"), "let it last longer, or offer more",
			"%s under way while a fault is in force, or shortly before, and at least %d are needed",
			expected(n, "request is", "requests are"), leastHalfway)
	}
	return w.found
}
