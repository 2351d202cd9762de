package judge

import (
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Power implements Planned. Counts are of what is seen and need no more than that; how
// soon connections are back takes a fault that ends them, and time behind it.
func (c Connections) Power(p Plan) []Weakness {
	w := weighing{Plan: p}
	if c.SettledWithin == 0 || !p.wired(c.Link) {
		return nil
	}
	healed, found := time.Duration(0), PlannedFault{}
	for _, f := range p.Faults {
		does := f.Does()
		ends := slices.ContainsFunc(c.Link, func(name string) bool {
			l, ok := p.Links[name]
			return ok && (f.On == name || f.OnTarget() && slices.ContainsFunc(append([]string{f.On}, f.Others...),
				func(target string) bool { return target == l.From || target == l.To }))
		})
		if ends && !f.ForGood && (does.Ends || does.Strikes || does.Refuses) && f.Healed >= healed {
			healed, found = f.Healed, f
		}
	}
	switch {
	case found.Kind == "":
		w.weak("settled_within", "chaos", "add a restart of one of its ends",
			"no fault ends the connections on %s, so that nothing shows how soon they are back", c.Link)
	case p.End-healed < c.SettledWithin:
		w.weak("settled_within", p.LengthKey, "let the load last "+unit.FormatDuration(c.SettledWithin-(p.End-healed))+" longer",
			"the load ends %s after the last healing, and the bound is %s", unit.FormatDuration(p.End-healed),
			unit.FormatDuration(c.SettledWithin))
	}
	return w.found
}
