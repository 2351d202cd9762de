package judge

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// judgeUnaffected compares a route that does not use the link with itself
// before the faults: how much of its goodput it kept, and how much longer it
// took. An arrival that was never sent, for want of a connection, was served
// no better than one that failed; it may be the harness's doing, and is then no
// failure of the system's.
func (c Bulkhead) judgeUnaffected(f *finding, route string, spans []span) {
	samples, _ := samplesOf(f.run, route)
	sent := untouched(f.run, samples).where(func(s *load.Sample) bool { return s.Outcome != load.Unsent })
	during := make([]arrivals, len(spans))
	for i, s := range spans {
		during[i] = due(samples, s.from, s.to)
	}
	within := joined(during...)
	if sent.len() < leastBaseline || within.len() < leastBaseline {
		f.open("unaffected", "%q had only %d requests before the faults and %d during them; at least %d each are needed: "+
			"let the faults begin later and last for longer, or offer more",
			route, sent.len(), within.len(), leastBaseline)
		return
	}
	baseline, ok := float64(countOK(sent))/float64(sent.len()), countOK(within)
	share := float64(ok) / float64(within.len())
	f.numbers.Add(route+"_baseline_success_pct", 100*baseline)
	f.numbers.Add(route+"_success_pct", 100*share)
	if baseline == 0 {
		f.open("unaffected", "no request of %q succeeded before the faults: there is nothing it could keep: "+
			"let the system serve it before a fault", route)
		return
	}
	seen := kept(goodputOf(f.run, sent), goodputOf(f.run, within))
	if c.goodput() >= 1 && ok == within.len() {
		seen = exactly(1) // no sample: not one may fail, and none did
	}
	if f.rule(measure{name: "goodput", unit: shared, seen: seen, allowed: atLeast(c.goodput()), sample: within.len(), ids: failures(within),
		says: fmt.Sprintf("%q kept %.4g%% of its successes", route, 100*min(share/baseline, 1)),
		refutes: fmt.Sprintf("%q was affected: %.3g%% of its %d requests succeeded during the faults, %.4g%% before",
			route, 100*share, within.len(), 100*baseline),
		settle: "too few to tell chance from harm: a higher rate or longer faults would tell"}) == Refuted {
		return
	}
	c.judgeSlowdown(f, route, sent, within)
}

// judgeSlowdown rules on a factor: of two times, each of which the host blurs.
// What the noise may have added to the baseline would otherwise be allowed to
// the faults many times over.
func (c Bulkhead) judgeSlowdown(f *finding, route string, before, within arrivals) {
	p0, p1 := p99(f.run, before), p99(f.run, within)
	usual := calmest(f.run, before, 0.99)
	f.numbers.AddTime(route+"_baseline_p99", time.Duration(min(p0.High, math.MaxInt64/2)))
	if !math.IsInf(p1.High, 1) {
		f.numbers.AddTime(route+"_p99", time.Duration(p1.High))
	}
	seen := kept(Interval{usual, p0.High}, p1)
	m := measure{name: "slowdown", unit: times, seen: seen, allowed: atMost(c.slowdown()), sample: within.len(),
		ids:    slower(time.Duration(c.slowdown()*p0.High), within),
		says:   fmt.Sprintf("the p99 of %q went from %s to %s during the faults", route, timed.print(p0.High), timed.print(p1.High)),
		hidden: noiseText(max(f.run.Noise(0, firstInjection(f.run)), f.run.Noise(within.get(0).Intended, within.get(within.len()-1).Done)))}
	m.refutes = strconv.Quote(route) + " was affected: " + m.says
	if percentile(serviceTimes(within), 0.99) <= time.Duration(c.slowdown()*p0.High) {
		m.hidden += ", or by the harness, which had no free connection"
		m.settle = "raise load.connections"
	}
	f.rule(m)
}

// calmest is what a quantile of response times is at least while the host does
// not stall: by the service times, less what a hundredth of the wake-ups of a
// sleeping thread came late by.
func calmest(run *evidence.Run, samples arrivals, q float64) float64 {
	var late time.Duration
	for _, t := range run.TicksIn(samples.get(0).Intended, samples.get(samples.len()-1).Done) {
		late = max(late, t.HiccupP99.Duration())
		if t.Pressure >= load.Crowded {
			late = max(late, t.Noise())
		}
	}
	return float64(max(0, percentile(serviceTimes(samples), q)-late))
}
