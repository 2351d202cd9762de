package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// judgeRejects looks at how fast calls are turned away that find the bulkhead
// full. By what the same route's quick answers vary before the faults, these
// may vary too, which is the host's doing and not the bulkhead's.
func (c Bulkhead) judgeRejects(f *finding, link *evidence.Link, own arrivals, fills []saturation) {
	lists := make([]arrivals, len(fills))
	for i, e := range fills {
		lists[i] = e.full()
	}
	full := joined(lists...)
	f.numbers.Add("turned_away_when_full", float64(full.len()))
	if full.len() > 0 {
		f.numbers.AddTime("turned_away_p50", percentile(responseTimes(full), 0.5))
		f.numbers.AddTime("turned_away_p99", percentile(responseTimes(full), 0.99))
	}
	switch {
	case c.RejectsWithin <= 0:
		return
	case !propagates(link):
		f.open("rejects_within", "calls that were turned away cannot be told from others: none of %d calls on %q carries a request id. "+
			"The system must pass on X-Request-Id or traceparent", len(link.Exchanges), c.Link)
		return
	case full.len() < leastRejects:
		f.open("rejects_within", "only %s turned away by the full bulkhead; at least %d are needed: offer more, or let the fault last "+
			"for longer", were(full.len(), "call was", "calls were"), leastRejects)
		return
	}
	usual := responseTimes(untouched(f.run, own))
	varies := percentile(usual, 0.99) - percentile(usual, 0.5)
	seen := p99(f.run, full)
	seen.Low = max(0, seen.Low-float64(varies))
	f.rule(measure{name: "rejects_within",
		unit: timed, seen: seen, allowed: atMost(c.RejectsWithin), sample: full.len(), ids: slower(c.RejectsWithin, full),
		says: fmt.Sprintf("of %d calls turned away by the full bulkhead, 99%% were within %s", full.len(),
			short(time.Duration(seen.High))),
		hidden: noiseText(f.run.Noise(full.get(0).Intended, full.get(full.len()-1).Done) + varies)})
}
