package judge

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Power implements Planned. It takes reads and writes while a fault is in force.
func (c Linearizable) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	if len(p.Faults) == 0 {
		w.weak("tested", "chaos", "cut the nodes from one another, or kill one",
			"nothing goes wrong, and without that an order is easily kept")
		return w.found
	}
	reads, writes, last := 0.0, 0.0, 0
	for _, f := range p.Faults {
		r, wr := p.accesses(c.Data, f.Injected, f.Healed)
		_, before := p.accesses(c.Data, 0, f.Injected)
		r *= 1 - math.Exp(-(before+wr/2)/float64(max(1, p.Keys))) // of registers that have been written to
		reads, writes, last = reads+r, writes+wr, f.Index
	}
	if reads < 1.2*leastReads || writes < 1.2*leastWrites {
		w.weak("tested", fmt.Sprintf("chaos[%d].for", last), "let it last longer, offer more, or have fewer keys",
			"%s of what was written, and %s of %s, come while a fault is in force, and at least %d and %d are needed",
			expected(reads, "read", "reads"), expected(writes, "write", "writes"), c.Data, leastReads, leastWrites)
	}
	return w.found
}

// accesses is how many reads and writes of some data are due in [from, to).
func (p Plan) accesses(data string, from, to time.Duration) (reads, writes float64) {
	for _, r := range p.Routes {
		if to <= from {
			break
		}
		if r.Reads == data {
			reads += p.Due(from, to) * r.Share
		}
		if r.Writes == data {
			writes += p.Due(from, to) * r.Share
		}
	}
	return reads, writes
}

// Power implements Planned. It takes reads soon after a write of the same register.
func (c Fresh) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	if c.Within == 0 {
		return nil
	}
	reads, writes := p.accesses(c.Data, 0, p.End)
	perKey := writes / float64(max(1, p.Keys)) / max(p.End.Seconds(), 1e-9)
	if told := reads * (1 - math.Exp(-perKey*testedFor.Seconds())); told < 1.2*leastReads {
		w.weak("within", "load.keys", "fewer keys, or offer more",
			"%s of %s come within %s of a write of the same key, and at least %d are needed", expected(told, "read", "reads"), c.Data,
			short(testedFor), leastReads)
	}
	return w.found
}

// Power implements Planned. It takes so many requests of each route that none of them
// failing would hold the claim.
func (c Available) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	need := neededFor(c.success())
	for i, route := range c.Routes {
		n, last := 0.0, -1
		for _, f := range p.Faults {
			if c.picks(f.Injection) {
				n, last = n+p.calls(nil, route, f.Injected, f.Healed), f.Index
			}
		}
		switch {
		case last < 0:
			w.weak("", "chaos", "add a fault", "nothing goes wrong while the routes are to be available")
		case n < 1.2*need:
			w.weak(fmt.Sprintf("routes[%d]", i), fmt.Sprintf("chaos[%d].for", last), "let it last longer, or offer more",
				"%s of %s due meanwhile, and at least %.0f are needed", dueText(n), route, need)
		}
	}
	return w.found
}

// Power implements Planned. It takes writes that are acknowledged right before a crash.
func (c Durable) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	risk, crashes := 0.0, 0
	for _, f := range p.Faults {
		if !f.OnTarget() && f.Kind != "exec" {
			continue
		}
		crashes++
		to := f.Injected
		if f.Kind != "kill" && f.Kind != "restart" {
			to = f.Healed
		}
		_, writes := p.accesses(c.Writes, max(0, f.Injected-riskFor), to)
		risk += writes
	}
	switch {
	case crashes == 0:
		w.weak("lost", "chaos", "add a kill of what holds the data", "nothing that holds data is killed or cut off")
	case risk < 1.2*leastRisk:
		w.weak("lost", p.RateKey, "offer more, or crash more often",
			"%s of %s come within %s before a crash, and at least %d are needed", expected(risk, "write", "writes"), c.Writes,
			short(riskFor), leastRisk)
	}
	return w.found
}

// Power implements Planned. It takes a fault, and enough requests in each second to see
// when a route is served again.
func (c Failover) Power(p Plan) []Weakness {
	if c.Region != "" {
		return c.powerOfRegion(p)
	}
	w := weighing{Plan: p}
	at := slices.IndexFunc(p.Faults, func(f PlannedFault) bool { return c.picks(f.Injection) })
	if at < 0 {
		w.weak("", "chaos", "add a kill of the primary", "nothing is lost that another could take over from")
		return w.found
	}
	lost := p.Faults[at].Injected
	for i, route := range c.Routes {
		if n := p.calls(nil, route, lost, min(p.End, lost+backFor)); n < 1.2*backLeast {
			w.weak(fmt.Sprintf("routes[%d]", i), p.RateKey, "offer more",
				"%s of %s due in a second after the loss, and at least %d are needed", dueText(n), route, backLeast)
		}
	}
	if c.Within > 0 && lost+c.Within+backFor > p.End {
		w.weak("within", p.LengthKey, "let the load go on for longer",
			"the load ends %s after the loss, and %s and a second more are needed", short(p.End-lost), short(c.Within))
	}
	return w.found
}
