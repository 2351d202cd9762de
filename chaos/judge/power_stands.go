package judge

import (
	"fmt"
	"math"
)

// Power implements Planned. It takes requests of each route in each way in which the
// plan loses the link, so many that none of them failing would hold the claim.
func (c Stands) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	links := Links{c.Without}
	if !p.wired(links) {
		return nil
	}
	var faults [losses][]PlannedFault
	lost := false
	for _, f := range p.onPath(links) {
		if way, ok := lossOf(&f.Injection); ok && f.Share >= 0.95 && f.First == 0 && !f.Cycle {
			faults[way], lost = append(faults[way], f), true
		}
	}
	if !lost {
		w.weak("", "chaos", fmt.Sprintf("add a hang or partition of %q, and errors", c.Without),
			"no fault takes all calls over %q, so that nothing shows how routes do without it", c.Without)
		return w.found
	}
	need := float64(leastLost)
	if s := c.success(); s < 1 {
		need = max(need, math.Ceil(sureToHold*sureToHold*s/(1-s))) // where the score interval of no failure reaches s
	}
	for way, of := range faults {
		for i, route := range c.Routes {
			n := 0.0
			for _, f := range of {
				n += p.calls(nil, route, f.Injected, f.Healed)
			}
			if len(of) > 0 && n < 1.2*need {
				w.weak(fmt.Sprintf("routes[%d]", i), p.at(last(of), "for"), "let it last longer, or offer more",
					"%s of %q due while %q %s, and at least %.0f are needed", dueText(n), route, c.Without, lossTexts[way].seen, need)
			}
		}
	}
	return w.found
}
