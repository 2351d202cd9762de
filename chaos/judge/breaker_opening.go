package judge

import (
	"fmt"
	"time"
)

// allOf is what observations of one figure leave together; false if they
// contradict one another.
func allOf(seen []Interval) (both Interval, ok bool) {
	both, ok = anything(), true
	for _, s := range seen {
		if both, ok = both.and(s); !ok {
			break
		}
	}
	return both, ok
}

// judgeOpens rules on how long after the fault it opened, at each episode that
// asked it to. The time from the injection to the last request that was let
// through is the least, and may be the host's by its noise, because whatever
// stalls makes it longer.
func (b Breaker) judgeOpens(f *finding, t *traffic, traces []episodeTrace) {
	var seen []Interval
	var ids [][]uint64
	for _, c := range traces {
		if c.already || !c.seen() && (b.OpensWithin == 0 || b.idleIn(c) != "") {
			continue
		}
		noise := t.run.Lateness(c.from, c.until())
		if c.seen() {
			seen = append(seen, interval(max(0, c.opening.notYet-c.from-noise), c.opening.surely-c.from))
		} else {
			seen = append(seen, Interval{float64(max(0, c.until()-c.from-noise)), anything().High})
		}
		ids = append(ids, t.letThrough(c.from+b.OpensWithin, c.until()))
	}
	allowed := atMost(b.OpensWithin)
	if b.OpensWithin == 0 {
		allowed = Bound{Low: -anything().High, High: anything().High}
	}
	i := worst(seen, allowed)
	switch {
	case i < 0 && b.OpensWithin == 0:
		return
	case i < 0:
		f.open("opens_within", "%s", b.idle(traces))
		return
	}
	m := measure{name: "opens_within", unit: timed, seen: seen[i], allowed: allowed, sample: len(seen), ids: ids[i],
		note: b.OpensWithin == 0, says: fmt.Sprintf("opened %s after the fault", timed.span(seen[i])),
		settle: "let the fault last longer than the bound",
		hidden: "the host's noise and the time between two requests"}
	if seen[i].High == anything().High {
		m.says = fmt.Sprintf("was not seen to open in the %s in which calls failed", short(time.Duration(seen[i].Low)))
		m.hidden = ""
	} else {
		f.numbers.AddTime("opened_after", time.Duration(seen[i].High))
	}
	f.rule(m)
}

// letThrough lists requests sent in [from, to) that made a call.
func (t *traffic) letThrough(from, to time.Duration) []uint64 {
	var ids []uint64
	for _, s := range t.sent(from, to).all() {
		if t.called(s) && len(ids) < MaxIDs {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// leastFailing is how many calls must fail, to say that it should have opened;
// twice what opens it if that is more.
const leastFailing = 10

// idleIn says why an episode asked nothing of the breaker; "" if it did.
func (b Breaker) idleIn(c episodeTrace) string {
	need := max(leastFailing, 2*b.Failures*b.instances())
	switch {
	case c.touched == 0:
		return fmt.Sprintf("the fault on %q hit no call: let it begin while the breaker is closed, and match the calls", b.Link)
	case c.failed == 0:
		return fmt.Sprintf("the fault on %q hit %d calls but none of them failed: "+
			"add errors, or latency above the timeout of the system", b.Link, c.touched)
	case c.failed < need:
		return fmt.Sprintf("only %s while the fault was in force, and the breaker was not seen to open; "+
			"at least %d are needed to say that it should have: let the fault last for longer, or offer more",
			were(c.failed, "call failed", "calls failed"), need)
	}
	return ""
}

// idle says why nothing was seen of an open breaker.
func (b Breaker) idle(traces []episodeTrace) string {
	if len(traces) == 0 {
		return fmt.Sprintf("no fault that makes calls fail was in force on %q: nothing was asked of the breaker: "+
			"add an errors fault on it", b.Link)
	}
	for _, c := range traces {
		if c.already {
			return "it was open already when the fault was injected, so that it was not seen to open: let more time pass between faults"
		}
	}
	for _, c := range traces {
		if why := b.idleIn(c); why != "" {
			return why
		}
	}
	return fmt.Sprintf("it was not seen to open while %s: let the fault last for longer",
		were(traces[0].failed, "call failed", "calls failed"))
}
