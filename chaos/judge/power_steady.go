package judge

import (
	"fmt"
	"math"
	"time"
)

// Power implements Planned. A steady state takes requests before the first
// fault, and where it is not confirmed nothing is injected: then no claim of the
// run can be decided.
func (s Steady) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	until, fault := p.first()
	if n := p.calls(nil, s.Route, 0, until); n < needSteady {
		key, turn := p.RateKey, "offer more"
		if n > 0 {
			earliest := time.Duration(float64(until) * 1.2 * needSteady / n)
			key, turn = p.LengthKey, "let the load last "+roundUp(earliest)
			if fault >= 0 {
				key, turn = fmt.Sprintf("chaos[%d].at", fault), fmt.Sprintf("inject chaos[%d] at %s or later", fault, roundUp(earliest))
			}
			turn += ", or offer more than " + rateUp(1.2*needSteady/n*p.rate(nil, "", 0, until))
		}
		before, without := "", ""
		if fault >= 0 {
			before, without = " before the first fault", ", without which nothing is injected"
		}
		w.weak("", key, turn, "%s due%s, and at least %d are needed to speak of a steady state%s", dueText(n), before, needSteady, without)
	}
	return w.found
}

// Power implements Planned. Recovery takes a fault that is healed, goodput
// before it to compare with, and load for long enough after it.
func (c Recovery) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	first, fault := p.first()
	if fault < 0 {
		w.weak("", "chaos", "add a fault to chaos", "no fault is injected, so that there is nothing to recover from")
		return w.found
	}
	end := p.Faults[0]
	for _, f := range p.Faults {
		if f.ForGood {
			w.weak("", p.at(f, ""), "give it a for: in place of for_good", "%s is never healed", p.at(f, ""))
			return w.found
		}
		if f.Healed > end.Healed {
			end = f
		}
	}
	before := p.calls(nil, c.Route, 0, first)
	if before < needSteady {
		w.weak("", fmt.Sprintf("chaos[%d].at", fault), "inject it later, or offer more",
			"%s due before the first fault, and at least %d are needed for a baseline", dueText(before), needSteady)
	}
	if left, need := p.End-end.Healed, c.Within+c.For; left < need {
		w.weak("within", p.LengthKey, "let the load last "+roundUp(end.Healed+need+quick)+" or longer",
			"the load ends %s after the last healing, and a system that does not come back is told from one that does only after within "+
				"and for, %s", short(left), short(need))
	} else if after := p.calls(nil, c.Route, end.Healed, p.End); before > 0 {
		ratio := after / (p.End - end.Healed).Seconds() / (before / first.Seconds())
		if ratio < 1-0.1-4*math.Sqrt(1/before+1/max(after, 1)) {
			w.weak("load", p.RateKey, "keep the rate after the healing as it was before the first fault",
				"the load after the healing is %.0f%% of that before, and to come back under less load is no recovery", 100*ratio)
		}
	}
	if !p.harms() {
		w.weak("", p.at(p.Faults[0], ""), "let calls fail, or hang for longer than their callers wait",
			"no fault makes a request fail, so that there is nothing to recover from")
	}
	return w.found
}

// harms reports whether any fault may make a request fail.
func (p Plan) harms() bool {
	for _, f := range p.Faults {
		if _, ok := p.Links[f.On]; !ok || f.OnTarget() {
			return true
		}
		if stall, fails := p.holds(Links{f.On}, f); fails || stall >= gives(p.routes(Links{f.On}, "")) {
			return true
		}
	}
	return false
}

// Power implements Planned. A timeout shows on calls that would hang for longer
// than the bound, while their callers still wait.
func (c Timeout) Power(p Plan) []Weakness {
	links := Links{c.Link}
	w := weighing{Plan: p}
	if !p.wired(links) {
		return nil
	}
	var hanging []PlannedFault
	var hung, longest float64
	for _, f := range p.onPath(links) {
		if does := f.Does(); !does.Holds && !(does.Delays && f.Delay.Duration() >= c.Within) {
			continue
		}
		hanging = append(hanging, f)
		longest = max(longest, (f.Healed - f.Injected).Seconds())
		if !f.Cycle {
			hung += p.hits(f, p.calls(links, c.Route, f.Injected+f.Ramp.Duration(), f.Healed-c.Within))
		}
	}
	switch {
	case len(hanging) == 0:
		w.weak("within", "", fmt.Sprintf("add a partition of %q, or latency above %s, for longer than that", c.Link, short(c.Within)),
			"no fault on %q lets calls hang for %s", c.Link, short(c.Within))
	case hung < needHung:
		f := last(hanging)
		need := c.Within + time.Duration(1.5*needHung/max(p.rate(links, c.Route, f.Injected, f.Healed)*f.Share, 1e-3)*float64(time.Second))
		w.weak("within", p.at(f, "for"), fmt.Sprintf("let %s last %s or longer", p.at(f, ""), roundUp(need)),
			"%s would hang for longer than %s before the fault is healed, and at least %d are needed", expected(hung, "call", "calls"),
			short(c.Within), needHung)
	}
	for _, r := range p.routes(links, c.Route) {
		if r.Timeout > 0 && r.Timeout <= c.Within {
			w.weak("within", r.Path+".timeout", fmt.Sprintf("give %s a timeout above %s", r.Name, short(c.Within)),
				"the load gives up on %s after %s, before the bound of %s", r.Name, short(r.Timeout), short(c.Within))
		}
	}
	return w.found
}
