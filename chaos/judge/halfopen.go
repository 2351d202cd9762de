package judge

import (
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// probing is one half-open state: what was let through after a silence before
// the first result was known. A call that began before the End of another was
// let through before that one's result could be known: the relay stamps End
// before the caller gets its last byte. So this is exact and needs no slack.
type probing struct {
	ids    []uint64      // of the calls let through, once each
	begin  time.Duration // of the first of them
	length time.Duration // until the first result
	turned int           // requests that came and were rejected in that time
	result time.Duration // when the first result was known at the link
	bad    bool          // it was a failure
}

// relapse lists the requests that were sent and called after a probe failed
// and before the breaker had waited again, more of them than may be probes. A
// breaker that lets several probes through may need all their results. The new
// wait counts from the begin of the probe, the kinder of the two moments that
// breakers count from: hystrix takes it, gobreaker the result.
func (p probing) relapse(t *traffic, waits, noise time.Duration, probes int) []uint64 {
	if !p.bad {
		return nil
	}
	var ids []uint64
	for _, x := range t.begun(p.result+noise, min(p.begin+waits-noise, t.end)) {
		if !t.held(x, p.result+noise) {
			ids = append(ids, x.ID)
		}
	}
	return ids[min(len(ids), max(0, probes-len(p.ids))):]
}

// probingAfter returns the half-open state that ended a silence; false if the
// evidence ends before its first result.
func probingAfter(t *traffic, s silence) (probing, bool) {
	if !s.ended {
		return probing{}, false
	}
	p := probing{begin: t.calls[s.next].Begin}
	result := t.calls[s.next].End
	seen := map[uint64]bool{}
	for _, x := range t.calls[s.next:] {
		if x.Begin >= result && len(p.ids) > 0 {
			break
		}
		if x.Ending == evidence.Cut {
			return probing{}, false
		}
		if x.ID != 0 && seen[x.ID] || t.held(x, s.from) {
			continue
		}
		if x.End <= result {
			result, p.bad = x.End, failed(x)
		}
		seen[x.ID] = true
		p.ids = append(p.ids, x.ID)
	}
	if result >= t.end {
		return probing{}, false
	}
	p.result, p.length = result, result-s.to
	for _, sample := range t.sent(s.to, result) {
		if t.rejected(sample) && sample.Done <= result {
			p.turned++
		}
	}
	return p, true
}

// judgeWaits rules on how long it stayed open, at each opening, and that
// nothing passed in that time.
func (b Breaker) judgeWaits(f *finding, courses []course, t *traffic) {
	var rejected, reopened, probed int
	var early, relapsed, stuck []uint64 // calls before the wait was over, the same after a failed probe, requests rejected after it was over
	shortest, longest := time.Duration(-1), time.Duration(-1)
	soon, late := Held, Held
	for _, c := range courses {
		for i, s := range c.silences {
			rejected += len(s.rejected)
			reopened += min(i, 1)
			opening := s.earliest
			if i == 0 && c.tripped >= c.from {
				opening = min(opening, c.tripped)
			}
			noise := t.slack(opening, s.to)
			if s.ended {
				probed++
				waited := s.to - opening
				if shortest < 0 || waited < shortest {
					shortest = waited
				}
				if r := bound(b.Waits-waited, noise, noise); b.Waits > 0 && r != Held {
					soon = max(soon, r)
					for _, x := range t.begun(s.to, opening+b.Waits-noise) {
						early = append(early, x.ID)
					}
				}
			}
			if b.Waits == 0 {
				continue
			}
			if p, ok := probingAfter(t, s); ok {
				relapsed = append(relapsed, p.relapse(t, b.Waits, 2*t.slack(p.result, p.result+b.Waits), b.probes())...)
			}
			if !t.othersIn(opening+b.longest()-noise, s.to) {
				last := s.lastTurned(t, noise)
				if r := bound(last.Sent-s.latest-b.longest(), noise, noise); r != Held {
					late = max(late, r)
					stuck = append(stuck, last.ID)
					longest = max(longest, last.Sent-s.latest)
				}
			}
		}
	}
	slices.Sort(early)
	early = slices.Compact(early)
	f.numbers.Add("calls_while_open", float64(len(early)+len(relapsed)))
	f.numbers.Add("rejected", float64(rejected))
	if shortest >= 0 {
		f.numbers.AddTime("waited", shortest)
	}
	f.numbers.Add("probed", float64(probed))
	f.numbers.Add("reopened", float64(reopened))
	if soon != Held {
		f.part(soon, early, "called again %s after it opened instead of waiting %s: %d calls reached %s while it had to be open, against %d rejected", short(shortest), short(b.Waits), len(early), b.Link, rejected)
	}
	if len(relapsed) > 0 {
		f.refute(relapsed, "kept calling while open: %d calls reached %s within %s of a failed probe", len(relapsed), b.Link, short(b.Waits))
	}
	if late != Held {
		f.part(late, stuck, "stayed open for %s and longer although it should probe after %s", short(longest), short(b.longest()))
	}
	if soon == Held && len(relapsed) == 0 {
		f.note("0 of %d requests reached %s while open", rejected, b.Link)
	}
	switch {
	case probed > 0 && soon == Held:
		f.note("probe after %s", short(shortest))
	case probed == 0 && late == Held:
		f.doubt("it opened, but the evidence ends before its first probe: let the load go on for longer than its wait")
	}
	if reopened > 0 {
		f.note("reopened %s", often(reopened))
	}
}

// judgeProbes rules on what it let through while half-open.
func (b Breaker) judgeProbes(f *finding, courses []course, t *traffic) {
	if !b.halfOpen() {
		return
	}
	allowed := b.probes()
	if !t.matched {
		allowed++ // a client may repeat a request by itself on a reused connection that broke
	}
	var most probing
	states, turned, over := 0, 0, 0
	var longest time.Duration
	var ids []uint64
	for _, c := range courses {
		for _, s := range c.silences {
			p, ok := probingAfter(t, s)
			if !ok {
				continue
			}
			states++
			turned += p.turned
			longest = max(longest, p.length)
			if len(p.ids) > len(most.ids) {
				most = p
			}
			if len(p.ids) > allowed {
				over++
				ids = append(ids, p.ids...)
			}
		}
	}
	if states == 0 {
		return // judgeWaits has said so, or the first result came after the end
	}
	f.numbers.Add("probes", float64(len(most.ids)))
	f.numbers.AddTime("probe", longest)
	f.numbers.Add("rejected_during_probes", float64(turned))
	switch {
	case over > 0:
		f.refute(ids, "half-open let %d calls through before the first result was known, bound %d, %s in %d", len(most.ids), b.probes(), often(over), states)
	case turned >= max(leastTurned, t.row):
		f.note("%s at a time, %d requests rejected meanwhile", were(len(most.ids), "probe", "probes"), turned)
	default:
		f.doubt("whether more than %s through while half-open cannot be told: the probes took at most %s and only %s meanwhile; add latency to the fault", were(b.probes(), "call is let", "calls are let"), short(longest), were(turned, "request was rejected", "requests were rejected"))
	}
}
