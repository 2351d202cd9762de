package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// figure is what the waits of one rank, or of two, say of a setting.
type figure struct {
	Interval
	of  scatter
	per float64 // by how much it grows with each nanosecond that the longest waits do; 0 where it rests on the least
}

// late is the figure where it is greater than allowed: the least of many waits is
// what the policy makes it, but what its longest are is proven only by more than
// the host may have added to any.
func (of figure) late(allowed Bound) Interval {
	if of.Low > allowed.High {
		of.Low = max(0, of.Low-of.per*float64(of.of.worst))
	}
	return of.Interval
}

// perLongest is by how much the wait without jitter grows with the longest of
// its rank.
func (l law) perLongest() float64 {
	switch l.spread {
	case below:
		return 1
	case around:
		return 0.5
	}
	return 0
}

// without is the wait of a rank without its jitter, by the law of spreading.
func (l law) without(s scatter) Interval {
	switch l.spread {
	case below:
		return s.high
	case around:
		return s.low.plus(0.5, s.width)
	}
	return s.low
}

// setting rules on a setting by all that was seen of it: on what they have in
// common, or on each by itself if they contradict one another.
func (f *finding) setting(m measure, seen []figure, says func(figure) string) {
	add := func(of figure) {
		of.Interval = of.late(m.allowed)
		m.seen, m.sample, m.ids, m.says = of.Interval, of.of.n, of.of.ids, says(of)
		m.hidden, m.settle = "", "more calls that fail would tell: a longer fault, or more load"
		if 10*of.of.noise > of.of.middle {
			m.hidden, m.settle = noiseText(of.of.noise), "longer waits, or a machine of its own, would tell"
		}
		f.rule(m)
	}
	parts := make([]Interval, len(seen))
	best := seen[0]
	for i, s := range seen {
		parts[i] = s.Interval
		if s.High-s.Low < best.High-best.Low {
			best = s
		}
	}
	if one, ok := settled(parts); ok {
		best.Interval = one
		add(best)
		return
	}
	for _, s := range seen {
		add(s)
	}
}

// judgeGrowth rules on base, and on how waits go on from there. single says that
// the system was seen to make no more waits than there are.
func (c Backoff) judgeGrowth(f *finding, all []scatter, single bool) {
	l := c.declared()
	waits := make([]Interval, len(all)) // without jitter
	for i, s := range all {
		waits[i] = l.without(s)
	}
	free := len(all) // the first so many are not at the cap
	if c.Cap > 0 {
		free = grown(waits)
	}
	base := []figure{{waits[0], all[0], l.perLongest()}}
	switch l.growth {
	case constant:
		for i := range all[1:] {
			base = append(base, figure{waits[i+1], all[i+1], l.perLongest()})
		}
	case linear:
		for i := 1; i < len(all); i++ {
			of := figure{waits[i].each(1 / float64(i+1)), all[i], l.perLongest() / float64(i+1)}
			if i >= free {
				of.High = math.Inf(1) // the cap may have made it less
			}
			base = append(base, of)
		}
	}
	m := measure{name: "base", unit: timed, allowed: about(c.Base, grain(c.Base))}
	f.setting(m, base, func(of figure) string { return c.saysBase(of, all) })
	if l.growth == geometric {
		c.judgeFactor(f, all, waits, free)
	} else if len(all) == 1 && !(single && l.growth == constant) {
		f.open("law", "only first waits were seen often enough: that they are %s cannot be told: "+
			"let the fault last for longer than they take", c.Law)
	}
	if c.Cap > 0 {
		c.judgeCap(f, all, waits, free)
	}
	if len(all) > 1 {
		f.remark("waits", "the medians of the 1st, 2nd, ... wait were %s",
			unit.List(all, ", ", func(s scatter) string { return short(s.middle) }))
	}
}

func (c Backoff) saysBase(of figure, all []scatter) string {
	first := all[0]
	switch {
	case first.middle <= max(min(first.noise/3, c.Base/4), 5*time.Millisecond) && of.of.rank == 1:
		return fmt.Sprintf("retries do not wait: half of %d first retries came within %s", first.n, short(max(0, first.middle)))
	case of.of.rank > 1:
		return fmt.Sprintf("base is %s by the %d waits number %d, half of which were no longer than %s",
			timed.span(of.Interval), of.of.n, of.of.rank, short(of.of.middle))
	}
	what := "the first waits are %s without jitter"
	if of.Low > (1+tolerance)*float64(c.Base) {
		what = "retries come too late: " + what
	}
	return fmt.Sprintf(what+" (%d of them, half no longer than %s)", timed.span(of.Interval), of.of.n, short(of.of.middle))
}

// grown is how many of the first waits a later one is surely longer than: those
// are not at the cap.
func grown(waits []Interval) int {
	free := 0
	for i := range waits {
		for _, later := range waits[i+1:] {
			if later.Low > waits[i].High {
				free = i + 1
			}
		}
	}
	return free
}

// judgeFactor compares each wait with the one before. Of a wait that may be at
// the cap it follows only that the factor is no less.
func (c Backoff) judgeFactor(f *finding, all []scatter, waits []Interval, free int) {
	if len(all) == 1 {
		f.open("factor", "only first waits were seen often enough (half of them within %s): that they grow cannot be told: "+
			"let the fault last for longer than two of them take",
			short(all[0].middle))
		return
	}
	var seen []figure
	for i := 1; i < len(all) && i <= max(1, free); i++ {
		ratio := figure{waits[i].over(waits[i-1]), all[i], c.declared().perLongest() / max(waits[i-1].High, 1)}
		if i >= free {
			ratio.High = math.Inf(1)
		}
		seen = append(seen, ratio)
	}
	f.setting(measure{name: "factor", unit: times, allowed: about(c.factor(), 0)}, seen, func(of figure) string {
		what := fmt.Sprintf("wait number %d is %s times the one before", of.of.rank, times.span(of.Interval))
		if of.Low <= 1+tolerance && of.High < (1-tolerance)*c.factor() {
			what = "the waits do not grow: " + what
		}
		return what
	})
}

// judgeCap looks for where the waits stop to grow. A system whose waits were
// never seen to has no cap, or a greater one.
func (c Backoff) judgeCap(f *finding, all []scatter, waits []Interval, free int) {
	stopped := len(all)
	for i := max(free, 0) + 1; i < len(all) && free > 0; i++ {
		expected := waits[free].over(waits[free-1]).Low // in part the cap's doing already
		for j := 1; j < free; j++ {
			expected = max(expected, waits[j].over(waits[j-1]).Low)
		}
		if c.declared().growth == linear {
			expected = float64(i+1) / float64(i)
		}
		if waits[i].over(waits[i-1]).High < expected {
			stopped = i
			break
		}
	}
	var seen []figure
	for i := stopped; i < len(all); i++ {
		seen = append(seen, figure{waits[i], all[i], c.declared().perLongest()})
	}
	m := measure{name: "cap", unit: timed, allowed: about(c.Cap, grain(c.Cap))}
	says := "waits stop to grow at %s"
	if len(seen) == 0 {
		last := len(all) - 1
		seen = []figure{{Interval{waits[last].Low, math.Inf(1)}, all[last], c.declared().perLongest()}}
		says = "waits were not seen to stop to grow: the last of them is %s"
	}
	f.setting(m, seen, func(of figure) string {
		if of.High < math.Inf(1) {
			return fmt.Sprintf(says+" (%d waits number %d)", timed.span(of.Interval), of.of.n, of.of.rank)
		}
		return fmt.Sprintf(says+" (%d waits number %d)", timed.span(waits[len(waits)-1]), of.of.n, of.of.rank)
	})
}
