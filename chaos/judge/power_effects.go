package judge

import (
	"fmt"
	"slices"
)

// Power implements Planned. It takes requests that reach the system twice, or calls of it that are answered in
// vain. Whether its callers repeat what they had no answer to is not known, and taken to be so.
func (c Effects) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	if !p.ofLinks(c.At) || len(c.Delivered) > 0 { // what is delivered again, and by what, is not known before
		if len(p.Faults) == 0 {
			w.weak("", "chaos", "cut acknowledgements off, or kill the broker or a consumer",
				"nothing goes wrong, so that nothing is delivered twice")
		}
		return w.found
	}
	if !p.wired(c.At) {
		return nil
	}
	var callers []string
	for _, at := range c.At {
		callers = append(callers, p.Links[at].From)
	}
	hits, own := 0.0, false
	var best PlannedFault
	for _, f := range p.Faults {
		here := slices.Contains(c.At, f.On)
		leads := slices.Contains(callers, p.Links[f.On].To)
		if f.OnTarget() || !here && !leads {
			continue
		}
		switch does := f.Does(); {
		case does.Drops, does.Duplicates && leads:
		case does.Duplicates:
			own = true
			continue
		case leads && (does.Ends || does.Holds): // its callers may call again
		default:
			continue
		}
		if n := p.hits(f, p.calls(nil, c.Route, f.Injected, f.Healed)); n > 0 {
			if best.Kind == "" || f.Healed-f.Injected > best.Healed-best.Injected {
				best = f
			}
			hits += n
		}
	}
	switch {
	case hits == 0 && own:
		w.weak("", "chaos", fmt.Sprintf("duplicate calls on a link to %q, or drop responses on %q", callers[0], c.At),
			"what is delivered twice on %q itself reaches its dependency twice, and no link behind it shows what came of that", c.At)
	case hits == 0:
		w.weak("", "chaos", fmt.Sprintf("add duplicate or drop_response on a link to %q, or drop_response on %q", callers[0], c.At),
			"no fault has requests delivered twice, or answered in vain")
	case hits < 1.2*leastTwice:
		w.weak("exactly", p.at(best, "for"), p.longer(best, hits, 1.2*leastTwice),
			"%s delivered twice or answered in vain, and at least %d are needed",
			expected(hits, "request is", "requests are"), leastTwice)
	}
	return w.found
}
