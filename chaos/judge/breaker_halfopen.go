package judge

import (
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// probe is one half-open state: what was let through after an open period before
// the first result was known. A call that began before the End of another was
// let through before that one's result could be known: the relay stamps End
// before the caller gets its last byte. So this is exact and needs no slack.
type probe struct {
	ids        []uint64        // of the calls let through, once each
	begins     []time.Duration // of the same
	sent       time.Duration   // it was let through after this
	begin      time.Duration   // of the first of them
	length     time.Duration   // until the first result
	rejected   int             // requests that came in that time and were not let through
	certain    int             // of them, those that need a call
	result     time.Duration   // when the first result was known at the link
	known      time.Duration   // when the system surely knew it
	bad        bool            // it was a failure
	all        []uint64        // of the calls until it surely had not closed yet, or opened again
	most       int             // so many calls it may have let through before it had closed; 0 where that is not known
	concurrent int             // the most of all at once
	last       time.Duration   // when the system surely knew the result of the last of all
}

// probeAfter returns the half-open state that ended an open period; false if the
// evidence ends before its first result.
func (b Breaker) probeAfter(t *traffic, o *observed, c episodeTrace, s openPeriod, next *openPeriod) (probe, bool) {
	if !s.ended {
		return probe{}, false
	}
	first := t.calls.get(s.next)
	p := probe{begin: first.Begin, sent: first.Begin, result: first.End}
	if sample, ok := t.sampleOf(first); ok {
		p.sent = sample.Sent
	}
	seen := map[uint64]bool{}
	for _, x := range t.calls.part(s.next, t.calls.len()).all() {
		if x.Begin >= p.result && len(p.ids) > 0 {
			break
		}
		if x.Ending == evidence.Cut {
			return probe{}, false
		}
		if x.ID != 0 && seen[x.ID] || t.sentBefore(x, s.from) {
			continue
		}
		if x.End <= p.result {
			p.result, p.bad, p.known = x.End, o.fails(x), t.knownAt(x)
		}
		seen[x.ID] = true
		p.ids, p.begins = append(p.ids, x.ID), append(p.begins, x.Begin)
	}
	if p.result >= t.end {
		return probe{}, false
	}
	p.length = p.result - s.to
	reach := t.run.Noise(s.to, p.result) // until a request would have made its call
	for _, sample := range t.sent(s.to, p.result).all() {
		if t.matched && t.calledBefore(sample, p.result) {
			continue
		}
		decided := t.rejected(sample) && sample.Done <= p.result
		if waited := t.matched && sample.Sent+reach <= p.result; !decided && !waited {
			continue
		}
		p.rejected++
		if t.chance() == 0 || t.hasNewStatus(sample) || t.matched && t.called(sample) {
			p.certain++
		}
	}
	if next != nil && p.bad {
		p.untilOpen(t, s, *next)
	} else if !p.bad && t.matched {
		p.untilClosed(t, s, c)
	}
	return p, true
}

// untilClosed counts what was let through while it surely had not closed: before
// the last request that was turned away once the first result was known. What came
// after that may have been let through one after the other, until more were at once
// than half-open had let through at once; then it had closed. Of one at a time,
// the one that another overlaps was none of its probes either.
func (p *probe) untilClosed(t *traffic, s openPeriod, c episodeTrace) {
	until := c.limit
	if c.flowed > p.known {
		until = c.flowed
	}
	still := p.result
	sent := t.sent(p.known+1, until)
	for i := sent.len() - 1; i >= 0; i-- {
		if away := sent.get(i); t.rejected(away) && (t.chance() == 0 || t.hasNewStatus(away)) {
			still = max(still, away.Sent)
			break
		}
	}
	n, known := 0, p.known // so many were let through, and the last result of them was known then
	var out []*evidence.Exchange
	for _, x := range t.calls.part(s.next, t.calls.len()).all() {
		if t.sentBefore(x, s.from) {
			continue
		}
		out = slices.DeleteFunc(out, func(y *evidence.Exchange) bool {
			if y.End <= x.Begin {
				known = max(known, t.knownAt(y))
			}
			return y.End <= x.Begin
		})
		if x.Begin < still {
			p.concurrent = max(p.concurrent, len(out)+1)
			p.all = append(p.all, x.ID)
		} else if len(out) >= max(p.concurrent, len(p.ids)) {
			p.most = max(len(p.all), n-t.sentSince(out, known))
			break
		}
		out = append(out, x)
		if n++; n > manyProbes {
			break
		}
	}
}

// sentSince is how many calls in progress are of requests sent after a moment. If no
// result came since then, and it has closed, it had closed before it let them through.
// The only one there is was let through by a breaker that had closed in any case.
func (t *traffic) sentSince(out []*evidence.Exchange, known time.Duration) int {
	if len(out) == 1 {
		return 1
	}
	n := 0
	for _, x := range out {
		if sample, ok := t.sampleOf(x); ok && sample.Sent > known {
			n++
		}
	}
	return n
}

// manyProbes is more than any half-open state lets through.
const manyProbes = 1000

// untilOpen counts what was let through until it opened again.
func (p *probe) untilOpen(t *traffic, s, next openPeriod) {
	var ends []time.Duration
	for _, x := range t.calls.part(s.next, t.calls.len()).all() {
		if x.Begin > next.from {
			break
		}
		if t.sentBefore(x, s.from) {
			continue
		}
		ends = slices.DeleteFunc(ends, func(end time.Duration) bool { return end <= x.Begin })
		ends = append(ends, x.End)
		p.concurrent = max(p.concurrent, len(ends))
		p.last = max(p.last, t.knownAt(x))
		p.all = append(p.all, x.ID)
		if len(p.all) > manyProbes {
			break // no half-open state
		}
	}
}

// knownAt is when the system surely knew what a call came to: once its caller
// had the answer made of it, or by the noise where it was answered without.
func (t *traffic) knownAt(x *evidence.Exchange) time.Duration {
	if s, ok := t.sampleOf(x); ok && answered(s) && s.Done >= x.End {
		return s.Done
	}
	return x.End + t.run.Noise(x.End, x.End)
}

// calledBefore reports whether a request made a call before a moment.
func (t *traffic) calledBefore(s *load.Sample, at time.Duration) bool {
	calls := t.made(s.ID)
	return len(calls) > 0 && t.link.Exchanges[calls[0]].Begin < at
}

// stay is one time for which it stayed open.
type stay struct {
	from, surely time.Duration // it opened between the two
	waited       Interval
	probe        probe
	probed       bool // the half-open state after it was seen
	again        bool // it opened by a probe that failed
	halfOpen     bool // it was none: others of so many at a time were still probing, and one that failed made room for the next
	ids          []uint64

	earliest time.Duration // of several instances, when the first may have opened
	loose    bool          // of several instances, one may not have opened at all
}

// stays follows an episode from opening to opening. The first begins between two
// moments that are known. Those after a probe that failed begin with the probe
// (hystrix's) or with its result (gobreaker's): the reading is taken that fits the
// first, where there is one, else both may be.
func (b Breaker) stays(t *traffic, o *observed, c episodeTrace) []stay {
	var all []stay
	openPeriods := c.openPeriods
	if c.flowed >= 0 { // what comes then is no part of it
		openPeriods = slices.DeleteFunc(slices.Clone(openPeriods), func(s openPeriod) bool { return s.from >= c.flowed })
	}
	if c.seen() && len(openPeriods) == 0 { // calls went on
		st := stay{from: c.opening.notYet, surely: c.opening.surely}
		st.waited = Interval{0, anything().High}
		if n, ok := t.after(st.surely); ok {
			x := t.calls.get(n)
			st.ids, st.waited = []uint64{x.ID}, t.waited(st.surely, st.from, x, true)
		}
		b.ofWhichever(c, &st, 0)
		return []stay{st}
	}
	for i, s := range openPeriods {
		var next *openPeriod
		if i+1 < len(openPeriods) {
			next = &openPeriods[i+1]
		}
		var st stay
		switch {
		case i > 0 && all[i-1].probed && all[i-1].probe.bad:
			before := all[i-1].probe
			st = stay{again: true, from: before.sent, surely: before.last}
		case i == 0 && c.seen():
			st = stay{from: c.opening.notYet, surely: c.opening.surely}
		default: // it was open before, or had closed meanwhile
			st = stay{from: t.lastSent(s), surely: s.first.Done}
		}
		end, x := t.end, &evidence.Exchange{}
		if n, ok := t.after(st.surely); ok && i == 0 {
			x, end = t.calls.get(n), t.calls.get(n).Begin
		} else if s.ended {
			x, end = t.calls.get(s.next), s.to
		}
		ended := x.Begin > 0
		st.ids = []uint64{x.ID}
		st.halfOpen = st.again && ended && b.Probing == "concurrent" && b.Probes > 1 && x.Begin < all[i-1].probe.last
		st.waited = t.waited(st.surely, st.from, x, ended)
		if i > 0 && !st.again {
			st.waited = st.waited.or(t.waitedAfter(st.surely, st.from))
		}
		if st.again && ended && !all[0].again {
			byBegin := t.waited(st.from, st.from, x, ended)
			byResult := t.waited(st.surely, all[i-1].probe.result, x, ended)
			_, fits := byBegin.and(all[0].waited)
			_, fitsToo := byResult.and(all[0].waited)
			switch {
			case fits && !fitsToo:
				st.waited = byBegin
			case fitsToo && !fits:
				st.waited = byResult
			}
		}
		if end > st.surely {
			st.probe, st.probed = b.probeAfter(t, o, c, s, next)
		}
		b.ofWhichever(c, &st, s.rejected.len())
		all = append(all, st)
	}
	return all
}

// allTurned is how many requests must be turned away for each instance, to say
// that all are open: where requests are spread evenly, one that is not gets none
// of so many less than once in 10⁹ times.
const allTurned = 21

// ofWhichever makes a stay of several instances what it says of any of them. The
// call that ends it is a probe of one that may have opened when the first did; and
// where few requests were turned away it may be of one that was not open at all.
func (b Breaker) ofWhichever(c episodeTrace, st *stay, turned int) {
	n := b.instances()
	if n == 1 {
		return
	}
	if st.earliest = 0; c.seen() {
		st.earliest = c.opening.earliest
	}
	if st.loose = turned < allTurned*n; st.loose {
		st.waited = anything()
	}
	if st.waited.High != anything().High {
		st.waited.High += float64(st.from - st.earliest)
	}
}

// lastSent is when the request of the last call before an open period was sent: the
// breaker was closed then.
func (t *traffic) lastSent(s openPeriod) time.Duration {
	i := t.calls.before(func(x *evidence.Exchange) bool { return x.Begin > s.from }) - 1
	if sample, ok := t.sampleOf(t.calls.get(max(i, 0))); ok {
		return min(sample.Sent, s.first.Done)
	}
	return s.from - t.run.Noise(s.from, s.from)
}

// fewStrangers is how many calls of another route there may be while a breaker is
// open, if it is theirs as well: those are its probes.
const fewStrangers = 3

// waitedAfter is how long it stayed open if the calls of requests that were sent before
// it surely had were let through before it opened, and came late.
func (t *traffic) waitedAfter(surely, notYet time.Duration) Interval {
	n, ok := t.after(surely)
	if !ok {
		return anything()
	}
	return t.waited(surely, notYet, t.calls.get(n), true)
}

// waited is how long it stayed open: from when it had surely opened to the last
// request that was turned away, at least; from when it surely had not to the call
// that was let through, at most. Where few calls of another route came in the
// midst of that, they may have been its probes, and failed, so that it waited
// twice.
func (t *traffic) waited(surely, notYet time.Duration, next *evidence.Exchange, ended bool) Interval {
	low := float64(max(0, t.lastRejected(surely, next, ended)-surely))
	if !ended {
		return Interval{low, anything().High}
	}
	third := (next.Begin - surely) / 3
	if n, first := t.strangers(surely+third, next.Begin-third); n > 0 && n <= fewStrangers {
		low = min(low, float64(first-surely))
	}
	return Interval{low, max(low, float64(next.Begin-notYet))}
}
