package judge

import (
	"fmt"
	"maps"
	"slices"
)

// Power implements Planned. It takes requests before the first fault.
func (c Fanout) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	until, fault := p.first()
	routes := []string{c.Route}
	if c.Growth > 0 {
		routes = append(routes, slices.Sorted(maps.Keys(c.Of))...)
	}
	for i, route := range routes {
		part := c.first()
		if i > 0 {
			part = "growth"
		}
		n := p.calls(nil, route, 0, until)
		if n >= 1.2*leastPages {
			continue
		}
		key, turn := p.RateKey, "offer more, or let the load last longer"
		if fault >= 0 {
			key, turn = fmt.Sprintf("chaos[%d].at", fault), fmt.Sprintf("inject chaos[%d] later, or offer more", fault)
		}
		w.weak(part, key, turn, "%s of %q due before the first fault, and at least %d are needed to speak of all", dueText(n),
			route, leastPages)
	}
	return w.found
}
