package judge

import (
	"fmt"
	"math"
	"time"
)

// jitterTolerance is how far the spread may be from what is declared, as a part
// of it. Both its ends are known less well than a wait is; one that is a tenth off
// is still outside.
const jitterTolerance = 0.08

// judgeJitter rules on how far the waits of each rank are spread, from their
// least to their greatest. Where none is claimed, as much as the tolerance of
// the wait itself is.
func (c Backoff) judgeJitter(f *finding, all []scatter) {
	l := c.declared()
	m := measure{name: "jitter", unit: shared, allowed: atMost(tolerance)}
	switch {
	case c.Noise > 0:
		m.name, m.unit, m.allowed = "noise", timed, about(c.Noise, grain(c.Noise))
	case l.spread == below:
		m.allowed = Bound{1 - tolerance, math.Inf(1)}
	case c.Jitter > 0:
		m.allowed = Bound{float64(c.Jitter) * (1 - jitterTolerance), float64(c.Jitter) * (1 + jitterTolerance)}
	}
	var seen []figure
	for _, s := range all {
		of := figure{l.spreadOf(s, c.Noise > 0), s, 1}
		if m.unit == shared {
			of.per = 1 / max(s.low.High, 1)
		}
		seen = append(seen, of)
	}
	f.setting(m, seen, func(of figure) string {
		what := fmt.Sprintf("jitter spreads %d waits number %d over %s of them", of.of.n, of.of.rank, shared.span(of.Interval))
		switch {
		case c.Noise > 0:
			what = fmt.Sprintf("%d waits number %d are spread by %s", of.of.n, of.of.rank, timed.span(of.Interval))
		case of.High < min(m.allowed.Low, 0.1):
			what = "there is no jitter: " + what
		}
		return what
	})
	c.writeJitter(f, all)
}

// spreadOf is by how much the waits of a rank are spread, as a part of the wait
// without jitter or, where that is how it is claimed, as a time.
func (l law) spreadOf(s scatter, fixed bool) Interval {
	part := s.width.over(s.low)
	switch {
	case l.spread == below:
		part = s.low.over(s.high)
		return Interval{max(0, 1-part.High), max(0, 1-part.Low)}
	case fixed && l.spread == around:
		return s.width.each(0.5)
	case fixed:
		return s.width
	case l.spread == around: // (high − low)/(high + low)
		half := Interval{part.Low / (2 + part.Low), 1}
		if !math.IsInf(part.High, 1) {
			half.High = part.High / (2 + part.High)
		}
		return half
	}
	return part
}

// uneven is up to which distance from the even law waits count as spread evenly.
const uneven = 0.25

// judgeEvenness rules on the shape of the spread, in the rank that tells most.
func (c Backoff) judgeEvenness(f *finding, all []scatter, byRank []waits) {
	d, best, of := 0.0, Interval{0, math.Inf(1)}, scatter{}
	for i, s := range all {
		if seen, may := s.evenness(byRank[i].ends); may.High-may.Low < best.High-best.Low {
			d, best, of = seen, may, s
		}
	}
	f.numbers.Add("ks_distance", d)
	f.numbers.Add("ks_p", kolmogorov(of.n, d))
	f.rule(measure{
		name: "law", unit: times, seen: best, allowed: atMost(uneven), sample: of.n, ids: of.ids,
		says: fmt.Sprintf("the waits number %d are spread evenly but for a distance of %.2f from the even law "+
			"(Kolmogorov–Smirnov, %d waits)", of.rank, d, of.n),
		refutes: fmt.Sprintf("the waits number %d are not spread evenly: "+
			"their distance from the even law is %.2f (Kolmogorov–Smirnov, %d waits)",
			of.rank, d, of.n),
		settle: "more calls that fail, or longer waits, would tell",
	})
}

// writeJitter writes down the spread of the rank that is spread over the most
// time.
func (c Backoff) writeJitter(f *finding, all []scatter) {
	best, spread := all[0], time.Duration(-1)
	for _, s := range all {
		if by := percentile(s.gaps, 0.9) - percentile(s.gaps, 0.1); by > spread {
			best, spread = s, by
		}
	}
	lower, upper := c.within(best.rank)
	f.numbers.Add("jitter_rank", float64(best.rank))
	f.numbers.AddTime("jitter_spread", spread)
	f.numbers.AddTime("jitter_spread_claimed", (upper-lower)*8/10)
	f.numbers.Add("jitter_cv", variation(best.gaps))
}
