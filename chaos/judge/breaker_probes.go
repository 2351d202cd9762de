package judge

import (
	"fmt"
	"slices"
	"time"
)

// leastTurned is how many requests must have come while probes were on their way
// and made no call, to say that no more are let through.
const leastTurned = 3

// judgeProbes rules on what it let through while half-open, before the first
// result. How many it may is a setting: where requests came meanwhile and were
// not let through, whether they were rejected or had to wait for the result, it
// is no more than were; where none came it may be any more. What all half-open
// states say together is what all of them leave.
func (b Breaker) judgeProbes(f *finding, t *traffic, all []stayed) {
	seen, states, rejected, longest, agree := anything(), 0, 0, time.Duration(0), true
	var ids []uint64
	for _, c := range all {
		for _, s := range c.stays {
			if !s.probed {
				continue
			}
			states++
			rejected += s.probe.rejected
			longest = max(longest, s.probe.length)
			one := b.letThroughAtOnce(t, s.probe)
			if b.ofEach(one).Low > float64(b.Probes) {
				ids = append(ids, s.probe.ids...)
			}
			both, ok := seen.and(one)
			if agree = agree && ok; !ok {
				both = seen.or(one)
			}
			seen = both
		}
	}
	if states == 0 {
		if b.Probes > 0 {
			f.open("probes", "the evidence ends before the first result of a probe: let the load go on for longer than its wait")
		}
		return
	}
	f.numbers.Add("probes", seen.Low)
	f.numbers.AddTime("probe", longest)
	f.numbers.Add("rejected_during_probes", float64(rejected))
	slices.Sort(ids)
	m := measure{name: "probes", seen: b.ofEach(seen), allowed: atMost(b.Probes), sample: states, ids: ids, note: b.Probes == 0}
	m.says = fmt.Sprintf("half-open let %s through before the first result (%s, %s meanwhile)",
		several(seen), were(states, "state", "states"), were(rejected, "request turned away", "requests turned away"))
	if seen.High == anything().High && rejected >= leastTurned && b.Probing == "cumulative" {
		m.settle = "no probe that succeeded took long enough to see whether more follow it: " +
			"let latency stay for a while after the errors are healed"
	} else if seen.High == anything().High {
		need := time.Duration(float64(max(leastTurned, t.chance())+b.Probes*b.instances()+1) / (t.rate * t.flow) * float64(time.Second))
		m.settle = fmt.Sprintf("probes took at most %s, too short for more requests to come: add latency of %s or more to the fault",
			short(longest), short(max(need+2*t.run.Noise(0, t.end), 50*time.Millisecond)))
	} else if b.instances() > 1 {
		m.settle = aLinkForEach
	} else if !agree {
		m.settle = "half-open states contradict each other, as those of several instances do: say how many there are, and give each a link"
	}
	if m.note {
		f.remark("probes", "%s", m.says)
		return
	}
	f.rule(m)
}

// letThroughAtOnce is how many one half-open state let through, by the claim's
// way of counting. It is known to have let through no more only where others were
// turned away; and in all, only where one that succeeded was followed until the
// breaker had closed, as one that fails says nothing of how many may follow it.
func (b Breaker) letThroughAtOnce(t *traffic, p probe) Interval {
	n := len(p.ids)
	sure := p.certain >= leastTurned || p.rejected >= max(leastTurned, t.row)
	seen := exactly(n)
	switch b.Probing {
	case "cumulative":
		n = max(n, len(p.all))
		seen = interval(n, max(n, p.most))
		sure = sure && p.most > 0
	case "concurrent":
		seen = exactly(max(n, p.concurrent))
	case "window":
		seen = exactly(mostWithin(p.begins, time.Duration((1-tolerance)*float64(b.Waits))))
	}
	if !t.matched && seen.Low > 1 {
		seen.Low-- // a client may repeat a request by itself on a reused connection that broke
	}
	if !sure {
		seen.High = anything().High
	}
	return seen
}

// several prints how many calls.
func several(seen Interval) string {
	if seen.High == 1 {
		return "1 call"
	}
	return counted.span(seen) + " calls"
}

// mostWithin is how many of the times, which are in order, lie within a length.
func mostWithin(at []time.Duration, length time.Duration) int {
	most, from := 0, 0
	for i := range at {
		for at[i]-at[from] >= length {
			from++
		}
		most = max(most, i+1-from)
	}
	return most
}
