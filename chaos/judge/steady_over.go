package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// afterFault is how long after a healing requests are left out that a claim outside
// faults does not count: what a system does to come back is the matter of recovery.
const afterFault = 10 * time.Second

// judgeOver rules on each stretch of the run by itself. Of all stretches the worst
// decides: one in which a bound was missed is not made up for by the others.
func (s Steady) judgeOver(run *evidence.Run) Verdict {
	f := find(run, s, "steady")
	all, ok := samplesOf(run, s.Route)
	if !ok {
		f.open("", noRoute, s.Route)
		return f.verdict()
	}
	stretches := s.stretches(horizon(run))
	if len(stretches) == 0 {
		f.open("over", "it takes %s, and there were %s: let it last longer, or claim it over less", short(s.Over), short(horizon(run)))
		return f.verdict()
	}
	var found [3][]measure // success, p50, p99
	rested := false
	for _, w := range stretches {
		offered := due(all, w.from, w.to)
		samples := s.counted(run, offered)
		switch {
		case samples.len() >= leastSteady:
			rested = true
		case offered.len() >= leastSteady:
			f.remark("over", "from %s to %s faults left only %s that count", short(w.from), short(w.to),
				were(samples.len(), "request", "requests"))
			continue
		default:
			f.open("over", "only %s from %s to %s that count; at least %d are needed to speak of a steady state: offer more, or claim it "+
				"over a longer stretch", were(samples.len(), "request was due", "requests were due"), short(w.from), short(w.to),
				leastSteady)
			continue
		}
		f.rests(w.from, w.to, onDue|onTimes|onLoad)
		where := fmt.Sprintf(" from %s to %s", short(w.from), short(w.to))
		if s.Success > 0 {
			m := s.measureSuccess(run, samples)
			m.says, m.refutes = m.says+where, m.refutes+where
			found[0] = append(found[0], m)
		}
		times := steadyTimesOf(run, w.from, w.to, samples, arrivals{})
		for i, q := range []struct {
			name  string
			q     float64
			limit time.Duration
		}{{"p50", 0.5, s.P50}, {"p99", 0.99, s.P99}} {
			if q.limit > 0 {
				what := fmt.Sprintf("%s is %s%s", q.name, timed.span(times.quantile(q.q)), where)
				found[1+i] = append(found[1+i], times.measure(q.name, what, q.q, q.limit))
			}
		}
	}
	f.numbers.Add("stretches", float64(len(stretches)))
	if !rested {
		f.open("over", "no stretch of %s has %d requests that count: claim it over a longer one, or let the faults be shorter",
			short(s.Over), leastSteady)
	}
	for _, all := range found {
		f.ruleWorst(all)
	}
	return f.verdict()
}

// ruleWorst rules on the measure of those of one key that decides.
func (f *finding) ruleWorst(all []measure) {
	if len(all) == 0 {
		return
	}
	var seen []Interval
	for _, m := range all {
		seen = append(seen, m.seen)
	}
	at := worst(seen, all[0].allowed)
	if math.IsInf(all[0].allowed.High, 1) { // of a share the lowest is told
		for i, s := range seen {
			if s.against(all[0].allowed) == seen[at].against(all[0].allowed) && s.Low < seen[at].Low {
				at = i
			}
		}
	}
	f.rule(all[at])
}

// stretches are those that bounds are to hold over, up to the end: a last one that is
// shorter than half of the others is part of the one before. There is none where even
// one does not fit.
func (s Steady) stretches(end time.Duration) (all []stretch) {
	for from := time.Duration(0); from+s.Over <= end+s.Over/100; from += s.Over {
		all = append(all, stretch{from, min(from+s.Over, end)})
	}
	if n := len(all); n > 0 {
		if rest := end - all[n-1].to; rest >= s.Over/2 {
			all = append(all, stretch{all[n-1].to, end})
		} else {
			all[n-1].to = max(all[n-1].to, end)
		}
	}
	return all
}

// counted are the samples that count.
func (s Steady) counted(run *evidence.Run, samples arrivals) arrivals {
	if !s.OutsideFaults {
		return samples
	}
	return samples.where(func(x *load.Sample) bool {
		for i := range run.Faults {
			f := &run.Faults[i]
			if f.Injected >= 0 && x.Done >= f.Injected && (f.Healed < 0 || x.Intended <= f.Healed+afterFault) {
				return false
			}
		}
		return true
	})
}
