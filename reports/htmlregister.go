package reports

import (
	"fmt"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/reports/chart"
)

// registerCharts are the operations of one register, a lane for each: red are those
// that contradict each other.
func registerCharts(id string, e judge.Exhibit) []*chart.Chart {
	g := e.Register
	if len(g.Operations) == 0 {
		return nil
	}
	name := nameOf(g.Data)
	if g.Key > 0 {
		name = fmt.Sprintf("%s %d", name, g.Key)
	}
	first := at(g.Operations[0].Sent)
	c := &chart.Chart{ID: id, Title: fmt.Sprintf("Operations on %s from %s on; in red those that no order has room for", name,
		Seconds(first)), Desc: "Each write and read of the register, from its sending to its answer, in the order of sending.",
		Stairs: true, X: chart.Axis{Kind: chart.Millis}}
	for _, o := range g.Operations {
		from, to := 1000*(at(o.Sent)-first), 1000*(at(o.Done)-first)
		look := chart.Stretch{From: from, To: to, Tone: chart.Blue, Level: 0.6}
		what := "read " + registerValue(o.Value)
		if o.Writes {
			look.Tone, what = chart.Green, "wrote its own"
		}
		if o.Marked {
			look.Tone, look.Level = chart.Red, 1
		}
		if o.Maybe {
			what += ", perhaps"
		}
		c.X.Max = max(c.X.Max, to*1.02, 0.001)
		c.Lanes = append(c.Lanes, chart.Lane{Name: fmt.Sprintf("%d %s: %s (%s)", o.ID, nameOf(o.Route), what, shown(o.Outcome, 20)),
			Spans: []chart.Stretch{look}})
	}
	if g.More > 0 {
		c.Lanes = append(c.Lanes, chart.Lane{Name: fmt.Sprintf("and %d more of the same time", g.More)})
	}
	return []*chart.Chart{c}
}

func registerValue(value uint64) string {
	switch value {
	case 0:
		return "nothing"
	case ^uint64(0):
		return "what no request of this run wrote"
	}
	return fmt.Sprintf("what %d wrote", value)
}
