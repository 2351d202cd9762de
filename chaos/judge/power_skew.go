package judge

import (
	"fmt"
	"math"
)

// Power implements Planned. It takes calls before the first fault: so many for each link, and so many that the interval of
// an even spread lies below the bound.
func (c Skew) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	if !p.wired(c.Links) || len(c.Links) < 2 {
		return nil
	}
	until, fault := p.first()
	n := p.calls(c.Links, c.Route, 0, until)
	k := float64(len(c.Links))
	need := 1.2 * leastShard * k
	if c.AtMost > 1 { // where k·(1/k + z·√(1/k·(1−1/k)/n)) reaches it
		need = max(need, math.Ceil(sureToRefute*sureToRefute*(k-1)/((c.AtMost-1)*(c.AtMost-1))))
	}
	if n >= need {
		return nil
	}
	key, turn := p.RateKey, "offer more, or let the load last for longer"
	if fault >= 0 {
		key, turn = fmt.Sprintf("chaos[%d].at", fault), fmt.Sprintf("inject chaos[%d] later, or offer more", fault)
	}
	w.weak("at_most", key, turn, "%s due before the first fault, and about %.0f calls are needed to tell an even spread from chance",
		dueText(n), need)
	return w.found
}
