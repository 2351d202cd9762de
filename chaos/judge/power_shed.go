package judge

import (
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Power implements Planned. It takes load beyond the capacity, for long enough, and so much of it
// that some is turned away.
func (c Shed) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	const need = overSettles + overLeast
	longest, run, beyond := time.Duration(0), time.Duration(0), 0.0
	for at := time.Duration(0); at+time.Second <= p.End; at += time.Second {
		r := p.rate(nil, c.Route, at, at+time.Second)
		if r < overOffered*float64(c.Capacity) {
			run = 0
			continue
		}
		run += time.Second
		longest, beyond = max(longest, run), beyond+r-float64(c.Capacity)
	}
	if longest < need {
		w.weak("", p.RateKey, "add a stage of three times the capacity for 5s",
			"%s of %q and more are due for %s at a time, and %s are needed to see what becomes of too much",
			unit.FormatRate(overOffered*c.Capacity), c.Route, longest, need)
		return w.found
	}
	if c.RejectsWithin > 0 && beyond < leastShed {
		w.weak("rejects_within", p.RateKey, "offer more", "%s more than the capacity, and at least %d are needed",
			dueText(beyond), leastShed)
	}
	for _, route := range c.Spares {
		n := 0.0
		for at := time.Duration(0); at+time.Second <= p.End; at += time.Second {
			if p.rate(nil, c.Route, at, at+time.Second) >= overOffered*float64(c.Capacity) {
				n += p.calls(nil, route, at, at+time.Second)
			}
		}
		if n < 1.2*leastLost {
			w.weak("spares", p.RateKey, "offer more of it, or for longer",
				"%s of %q due while too much is offered, and at least %d are needed", dueText(n), route, leastLost)
		}
	}
	return w.found
}
