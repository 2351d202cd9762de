package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// judgeRejects rules on how fast callers were rejected. The time since they were
// due is an upper bound, whatever they waited for; the time since they were sent,
// less the host's noise, is a lower one.
func (b Breaker) judgeRejects(f *finding, t *traffic, all []stayed) {
	lists := make([]arrivals, len(all))
	for i, c := range all {
		lists[i] = c.rejected(t)
	}
	rejected := joined(lists...)
	calm := withoutHostStalls(t.run, rejected, 2*evidence.LeastNoise)
	f.numbers.AddTime("rejected_p99", percentile(responseTimes(calm), 0.99))
	if b.RejectsWithin == 0 {
		return
	}
	if calm.len() == 0 {
		f.open("rejects_within", "no request was seen to be rejected: offer more requests per second, on a host that has cores to spare")
		return
	}
	// Where others want the cores too, a process waits for its turn for longer than a sleeper does.
	sure := calm.where(func(s *load.Sample) bool { return t.run.Turn(s.Sent, s.Done) <= evidence.LeastNoise })
	seen := Interval{ranked(serviceTimes(sure), 0.99).Low, ranked(responseTimes(calm), 0.99).High}
	seen.Low = max(0, seen.Low-float64(noiseAround(t.run, calm)))
	var slow []uint64
	for _, s := range calm.all() {
		if s.ResponseTime() > b.RejectsWithin {
			slow = append(slow, s.ID)
		}
	}
	m := measure{name: "rejects_within", unit: timed, seen: seen, allowed: atMost(b.RejectsWithin), sample: calm.len(), ids: slow,
		says: fmt.Sprintf("rejected within %s (p99 of %d)", short(percentile(responseTimes(calm), 0.99)), calm.len()),
		refutes: fmt.Sprintf("slow to reject: 99%% of %d rejected callers were answered within %s",
			calm.len(), short(percentile(serviceTimes(calm), 0.99))),
		settle: fmt.Sprintf("let more requests come while it is open, at least %d", fewestRanked), hidden: "sampling and the host's noise"}
	if calm.len() >= fewestRanked {
		m.settle = "give the run a machine of its own, or leave more room"
	}
	f.rule(m)
}

// judgeCloses rules on how soon after the healing calls flowed again, and that
// they did so for good: one that opens again without a fault had not closed. Where
// calls failed all the same before it did, it may have been right.
func (b Breaker) judgeCloses(f *finding, t *traffic, o *observed, all []stayed) {
	var seen []Interval
	var says []string
	var ids [][]uint64
	for _, c := range all {
		if !c.healed {
			continue
		}
		one, say := b.closing(t, o, c)
		seen, says = append(seen, one), append(says, say)
		ids = append(ids, t.rejections(c.to+b.ClosesWithin, c.limit))
	}
	switch {
	case len(seen) == 0 && b.ClosesWithin > 0:
		f.open("closes_within", "the fault was still in force when the evidence ended, so that it could not close: "+
			"let the load go on for longer than the faults")
		return
	case len(seen) == 0:
		return
	}
	allowed := atMost(b.ClosesWithin)
	if b.ClosesWithin == 0 {
		allowed = Bound{-anything().High, anything().High}
	}
	i := worst(seen, allowed)
	if seen[i].High != anything().High {
		f.numbers.AddTime("closed_after", time.Duration(seen[i].High))
	} else {
		f.numbers.AddTime("open_after_healing", time.Duration(seen[i].Low))
	}
	f.rule(measure{name: "closes_within", unit: timed, seen: seen[i], allowed: allowed, sample: len(seen), ids: ids[i],
		note: b.ClosesWithin == 0, says: says[i],
		settle: "let the load go on for longer after the healing", hidden: "the host's noise and the time between two requests"})
}

// closing is how long after the healing calls flowed for good.
func (b Breaker) closing(t *traffic, o *observed, c stayed) (Interval, string) {
	noise := t.run.Noise(c.to, c.limit)
	first := max(0, c.flowed-c.to)
	switch {
	case c.closed < 0:
		last := t.lastAway(c.to, c.limit)
		seen := Interval{float64(max(0, last-c.to-noise)), anything().High}
		if c.twice > 0 {
			return seen, fmt.Sprintf("did not close: it opened again without a fault, though calls had flowed %s after healing",
				short(first))
		}
		return seen, fmt.Sprintf("did not close: calls still did not flow %s after healing", short(last-c.to))
	case c.twice > 0:
		seen := interval(max(0, c.closed-c.to-noise), c.closed-c.to)
		if b.failedSince(o, c.flowed, c.closed) {
			seen.Low = float64(max(0, first-noise))
		}
		return seen, fmt.Sprintf("closed %s after healing, and opened again without a fault until %s after it",
			short(first), short(c.closed-c.to))
	}
	return interval(max(0, t.lastAway(c.to, c.closed)-c.to-noise), first), fmt.Sprintf("closed %s after healing", short(first))
}

// failedSince reports whether the breaker may have learned of a failure in (from, to].
func (b Breaker) failedSince(o *observed, from, to time.Duration) bool {
	return timesBy(o.bad[perAttempt], from, to)+timesBy(o.strangers, from, to) > 0
}

// lastAway is when the last request in [from, to) was sent that was surely turned
// away; from if none was. By rates it is until when calls were not seen to flow.
func (t *traffic) lastAway(from, to time.Duration) time.Duration {
	if !t.matched {
		return max(from, to-t.flowWindow())
	}
	sent := t.sent(from, to)
	row := 0 // without a call, of those that may need none
	for i := sent.len() - 1; i >= 0; i-- {
		s := sent.get(i)
		switch {
		case !t.rejected(s):
			row = 0
			continue
		case t.chance() == 0 || t.hasNewStatus(s):
			return s.Sent
		}
		if row++; row >= t.row {
			return sent.get(i + row - 1).Sent
		}
	}
	return from
}

// rejections lists requests sent in [from, to) that were turned away.
func (t *traffic) rejections(from, to time.Duration) []uint64 {
	var ids []uint64
	for _, s := range t.sent(from, to).all() {
		if t.rejected(s) && len(ids) < MaxIDs {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
