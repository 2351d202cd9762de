package judge

import (
	"fmt"
	"math"
	"time"
)

// Power implements Planned. It takes as many requests as show the share where none of
// them fails.
func (c SLO) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	if !(c.allowed() > 0 && c.allowed() < 1) {
		return nil // which is told where the file is read
	}
	n := p.calls(nil, c.Route, 0, p.End)
	need := math.Ceil(math.Log(1-c.confidence()) / math.Log1p(-c.allowed()))
	if n >= need {
		return nil
	}
	key, turn := p.RateKey, "offer more"
	if n > 0 {
		key, turn = p.LengthKey, fmt.Sprintf("let the load last %s, or offer %s", roundUp(time.Duration(float64(p.End)*1.05*need/n)),
			rateUp(1.05*need/n*p.rate(nil, "", 0, p.End)))
	}
	w.weak("success", key, turn, "%s due, and %.0f of which none fails are needed to show %s with %s confidence", dueText(n),
		need, c.Success, shared.print(c.confidence()))
	return w.found
}
