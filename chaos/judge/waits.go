package judge

import (
	"fmt"
	"time"
)

// stayed is what is seen of the times for which the breaker stayed open.
type stayed struct {
	course
	stays []stay
}

// waiting is what the claim allows the time to be for which it stays open.
func (b Breaker) waiting() Bound {
	return aboutRange(b.Waits, max(b.Waits, b.WaitsAtMost), 0)
}

// judgeWaits rules on how long it stayed open until it let a call through, at
// each opening, and after each probe that failed.
func (b Breaker) judgeWaits(f *finding, all []stayed) {
	for _, again := range []bool{false, true} {
		var seen []Interval
		var ids [][]uint64
		ended := 0
		for _, c := range all {
			for _, s := range c.stays {
				if s.again == again {
					seen, ids = append(seen, s.waited), append(ids, s.ids)
				}
				if s.again == again && s.waited.High != anything().High {
					ended++
				}
			}
		}
		name, says := "waits", "probe after %s"
		if again {
			name, says = "reopens", "again %s after a failed probe"
			f.numbers.Add("reopened", float64(len(seen)))
		} else {
			f.numbers.Add("probed", float64(ended))
		}
		if len(seen) == 0 {
			continue
		}
		sample := len(seen)
		if b.WaitsAtMost == 0 { // it is one setting, unless they contradict
			if both, ok := allOf(seen); ok {
				seen, ids = []Interval{both}, ids[:1]
			}
		}
		i := worst(seen, b.waiting())
		m := measure{name: name, unit: timed, seen: seen[i], allowed: b.waiting(), sample: sample, ids: ids[i], note: b.Waits == 0,
			says: fmt.Sprintf(says, timed.span(seen[i])), refutes: fmt.Sprintf(says+" instead of "+short(b.Waits), timed.span(seen[i])), hidden: "the time between two requests", settle: "offer more requests per second"}
		if !again {
			f.numbers.AddTime("waited", time.Duration(seen[i].Low))
		}
		if m.note {
			m.allowed = Bound{-anything().High, anything().High}
		}
		if seen[i].High == anything().High {
			m.says = fmt.Sprintf("stayed open for %s and longer", short(time.Duration(seen[i].Low)))
			m.refutes = m.says + " although it should probe"
			m.hidden, m.settle = "", "the evidence ends before its first probe, so let the load go on for longer than its wait"
		} else if again && seen[i].against(b.waiting()) == Inconclusive {
			m.hidden, m.settle = "", "whether it counts from the probe or from its result cannot be told: let the probe take less than a twentieth of the wait"
		}
		f.rule(m)
	}
}

// judgeSilent rules on the calls that were let through while it had to be open:
// those of requests that were sent when it surely had opened, or surely knew that
// a probe had failed, and that began before the wait can have been over. Their
// number is exact. One is let pass at a time at which a breaker that lets several
// probes through may still have been at that.
func (b Breaker) judgeSilent(f *finding, t *traffic, all []stayed) {
	var seen Interval
	var ids []uint64
	turned := 0
	for _, c := range all {
		for _, s := range c.silences {
			turned += len(s.rejected)
		}
		for _, s := range c.stays {
			if !s.again {
				n := float64(b.letThroughOpen(t, s.surely, s.from, &ids))
				seen = Interval{seen.Low + n, seen.High + n}
			}
			p := s.probe
			if !s.probed || !p.bad {
				continue
			}
			n := b.letThroughOpen(t, p.known+t.settles(p.known, p.known), p.sent, &ids)
			if b.Probes == 0 || b.Probing == "concurrent" { // they may all have been probes
				seen.High += float64(n)
				continue
			}
			n = max(0, n-max(0, b.Probes*b.instances()-len(p.ids)))
			seen = Interval{seen.Low + float64(n), seen.High + float64(n)}
		}
	}
	f.numbers.Add("calls_while_open", seen.Low)
	f.numbers.Add("rejected", float64(turned))
	if b.Waits == 0 {
		if turned > 0 {
			f.remark("silent", "%s rejected while it let nothing through", were(turned, "request was", "requests were"))
		}
		return
	}
	f.rule(measure{name: "silent", seen: seen, allowed: atMost(0), sample: turned, ids: ids,
		says:    fmt.Sprintf("%s of %d requests reached %s while open", counted.span(seen), turned, b.Link),
		refutes: fmt.Sprintf("kept calling while open: %s reached %s although it had to wait %s, against %d rejected", were(int(seen.Low), "call", "calls"), b.Link, short(b.Waits), turned),
		settle:  "say how many probes it lets through in all (probing: cumulative)"})
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
	for _, x := range t.begun(surely+1, min(until, t.end)) {
		if !t.held(x, surely) {
			n++
			*ids = append(*ids, x.ID)
		}
	}
	return n
}
