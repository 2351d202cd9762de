package judge

import (
	"fmt"
	"time"
)

// stayed is what is seen of the times for which the breaker stayed open.
type stayed struct {
	episodeTrace
	stays []stay
}

// rejected lists the requests that were turned away while nothing was let
// through; if that never was, those since it opened.
func (c stayed) rejected(t *traffic) arrivals {
	if len(c.openPeriods) > 0 || !c.seen() || !t.matched {
		lists := make([]arrivals, len(c.openPeriods))
		for i, s := range c.openPeriods {
			lists[i] = s.rejected
		}
		return joined(lists...)
	}
	return t.sent(c.opening.surely, min(c.to, c.limit)).where(t.rejected)
}

// waiting is what the claim allows the time to be for which it stays open.
func (b Breaker) waiting() Bound {
	return aboutRange(b.Waits, max(b.Waits, b.WaitsAtMost), 0)
}

// judgeWaits rules on how long it stayed open until it let a call through, at
// each opening, and after each probe that failed.
func (b Breaker) judgeWaits(f *finding, all []stayed) {
	first, again := staysOf(all, false), staysOf(all, true)
	f.numbers.Add("probed", float64(probedIn(first)))
	if m, ok := b.waited(first, "waits", "probe after %s"); ok {
		f.numbers.AddTime("waited", time.Duration(m.seen.Low))
		f.rule(m)
	}
	f.numbers.Add("reopened", float64(len(again)))
	if m, ok := b.waited(again, "reopens", "again %s after a failed probe"); ok {
		f.rule(m)
	}
}

// staysOf lists the stays that began with an opening, or those that began with a
// probe that failed.
func staysOf(all []stayed, again bool) []stay {
	var list []stay
	for _, c := range all {
		for _, s := range c.stays {
			if s.again == again && !s.halfOpen {
				list = append(list, s)
			}
		}
	}
	return list
}

// probedIn counts the stays of which the run saw the end.
func probedIn(list []stay) int {
	n := 0
	for _, s := range list {
		if s.waited.High != anything().High {
			n++
		}
	}
	return n
}

// waited makes one measure of all stays: it is one setting, and so what all of
// them leave, unless it may vary or they contradict one another. Then it is the
// worst. It is false if there are none.
func (b Breaker) waited(list []stay, name, says string) (measure, bool) {
	seen := make([]Interval, len(list))
	for i, s := range list {
		seen[i] = s.waited
	}
	if b.WaitsAtMost == 0 {
		if both, ok := allOf(seen); ok && len(seen) > 0 {
			seen = []Interval{both}
		}
	}
	i := worst(seen, b.waiting())
	if i < 0 {
		return measure{}, false
	}
	m := measure{name: name, unit: timed, seen: seen[i], allowed: b.waiting(), sample: len(list), ids: list[i].ids, note: b.Waits == 0}
	if m.note {
		m.allowed = Bound{-anything().High, anything().High}
	}
	m.says = fmt.Sprintf(says, timed.span(m.seen))
	m.refutes = m.says + " instead of " + short(b.Waits)
	switch {
	case m.seen.High == anything().High:
		m.says = fmt.Sprintf("stayed open for %s and longer", short(time.Duration(m.seen.Low)))
		m.refutes = m.says + " although it should probe"
		m.settle = "the evidence ends before its first probe, so let the load go on for longer than its wait"
	case name == "reopens":
		m.settle = "whether it counts from the probe or from its result cannot be told: let the probe take less than a twentieth " +
			"of the wait"
	default:
		m.hidden, m.settle = "the time between two requests", "offer more requests per second"
	}
	if b.instances() > 1 {
		m.hidden, m.settle = "", aLinkForEach
	}
	return m, true
}

// judgeSilent rules on the calls that were let through while it had to be open:
// those of requests that were sent when it surely had opened, or surely knew that
// a probe had failed, and that began before the wait can have been over. Their
// number is exact. One is let pass at a time at which a breaker that lets several
// probes through may still have been at that.
func (b Breaker) judgeSilent(f *finding, t *traffic, all []stayed) {
	var seen Interval
	var ids []uint64
	rejected := 0
	for _, c := range all {
		rejected += c.rejected(t).len()
		for _, s := range c.stays {
			if !s.again {
				from := s.from
				if b.instances() > 1 {
					from = s.earliest // the first of them may probe when it has waited
				}
				one := exactly(b.letThroughOpen(t, s.surely, from, &ids))
				if s.loose {
					one.Low = 0
				}
				seen = Interval{seen.Low + one.Low, seen.High + one.High}
			}
			p := s.probe
			if !s.probed || !p.bad {
				continue
			}
			n := b.letThroughOpen(t, p.known+t.settles(p.known, p.known), p.sent, &ids)
			if b.Probes == 0 || b.Probing == "concurrent" || b.instances() > 1 { // they may all have been probes
				seen.High += float64(n)
				continue
			}
			n = max(0, n-max(0, b.Probes-len(p.ids)))
			seen = Interval{seen.Low + float64(n), seen.High + float64(n)}
		}
	}
	f.numbers.Add("calls_while_open", seen.Low)
	f.numbers.Add("rejected", float64(rejected))
	if b.Waits == 0 {
		if rejected > 0 {
			f.remark("silent", "%s rejected while it let nothing through", were(rejected, "request was", "requests were"))
		}
		return
	}
	settle := "say how many probes it lets through in all (probing: cumulative)"
	if b.instances() > 1 {
		settle = aLinkForEach
	}
	f.rule(measure{name: "silent", seen: seen, allowed: atMost(0), sample: rejected, ids: ids,
		says: fmt.Sprintf("%s of %d requests reached %q while open", counted.span(seen), rejected, b.Link),
		refutes: fmt.Sprintf("kept calling while open: %s reached %q although it had to wait %s, against %d rejected",
			were(int(seen.Low), "call", "calls"), b.Link, short(b.Waits), rejected),
		settle: settle})
}

// letThroughOpen counts the calls of requests that were sent after it surely was
// open, and that began before a wait is over that began no earlier than from.
func (b Breaker) letThroughOpen(t *traffic, surely, from time.Duration, ids *[]uint64) int {
	until := from + time.Duration((1-tolerance)*float64(b.Waits))
	n := 0
	if !t.matched {
		surely += t.run.Noise(surely, surely)
		until -= t.run.Noise(until, until)
	}
	for _, x := range t.begun(surely+1, min(until, t.end)).all() {
		if !t.sentBefore(x, surely) {
			n++
			*ids = append(*ids, x.ID)
		}
	}
	return n
}
