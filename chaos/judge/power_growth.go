package judge

import "cmp"

// Power implements Planned. Growth takes so many stretches, over as long as the load lasts.
func (c Growth) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	if need := leastTroughs * c.troughs(); p.End < need {
		w.weak("", p.LengthKey, "let the load last "+roundUp(need)+
			" or longer, or give a shorter troughs if garbage is collected more often",
			"the load lasts %s, and what %s takes must be known over %d times %s", short(p.End), cmp.Or(c.Target, c.Route), leastTroughs,
			short(c.troughs()))
	}
	return w.found
}
