package judge

import (
	"cmp"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// course is what a breaker did about one episode of faults.
type course struct {
	span
	limit    time.Duration // evidence for this episode ends here: at the next one, or with the run
	noise    time.Duration // between the injection and the opening
	already  bool          // the breaker was open before the episode began
	silences []silence     // the openings it caused, the first and the reopened
	failures []evidence.Exchange
	touched  int           // calls before it opened that a fault hit
	mixed    bool          // before it opened, calls also succeeded under the fault
	tripped  time.Duration // End of the failure after which it had to open; -1 if that was never reached
	cutoff   time.Duration // Begin of the last call before it opened; the end of the episode if it did not
	closed   time.Duration // when calls flowed again after healing; -1 if they were not seen to
}

// courseOf follows the breaker through one episode. count is after how many
// consecutive failures it must open; 0 means that is not claimed.
func courseOf(t *traffic, e span, limit time.Duration, silences []silence, count int) course {
	c := course{span: e, limit: limit, tripped: -1, closed: -1, cutoff: min(e.to, limit)}
	c.noise = t.slack(e.from, c.cutoff)
	for _, s := range silences {
		switch {
		case s.to <= e.from || s.from >= limit:
		case s.first.Done < e.from:
			c.already = true
		case len(c.silences) == 0 && s.from > e.to+c.noise: // not this episode's doing
		default:
			c.silences = append(c.silences, s)
		}
	}
	if c.opened() {
		c.cutoff = c.silences[0].from
		c.noise = t.slack(e.from, max(c.silences[0].latest, e.from))
	}
	c.follow(t, count)
	if from := e.to; e.healed && c.opened() {
		if at, ok := t.flowing(max(from, c.cutoff), limit, t.flowWindow()); ok {
			c.closed = at
		}
	}
	return c
}

func (c *course) opened() bool { return len(c.silences) > 0 }

// over is until when the episode and what follows from it lasts.
func (c *course) over() time.Duration {
	if c.closed >= 0 {
		return c.closed
	}
	return c.limit
}

// follow finds what the calls before the opening came to, in the order in
// which the system learned it. Attempts of one request count as one call, at
// its last attempt: whether a breaker sits within or around its retries cannot
// be seen, and this is the later of the two.
//
// The moment of tripping counts consecutive failures, as the breakers that
// count do. Order by End is the order at the link; where successes come
// between, the system may have seen another one, which is why mixed is kept.
func (c *course) follow(t *traffic, count int) {
	index := map[uint64]int{}
	var ended []evidence.Exchange
	for _, x := range t.calls {
		if x.Begin > c.cutoff || x.End < c.from || x.Ending == evidence.Cut {
			continue
		}
		if i, ok := index[x.ID]; ok && x.ID != 0 {
			if x.End >= ended[i].End {
				x.Faults |= ended[i].Faults
				ended[i] = x
			}
			continue
		}
		index[x.ID] = len(ended)
		ended = append(ended, x)
	}
	slices.SortStableFunc(ended, func(a, b evidence.Exchange) int { return cmp.Compare(a.End, b.End) })
	row := 0
	for _, x := range ended {
		bad := failed(x)
		if c.hit(x) {
			c.touched++
		}
		if !bad {
			row = 0
			c.mixed = c.mixed || x.Begin > c.from+c.noise
			continue
		}
		c.failures = append(c.failures, x)
		if row++; row == count && c.tripped < 0 {
			c.tripped = x.End
		}
	}
}

// failuresAtOpening counts the calls that had failed when it opened: at the
// failure that had to open it, or at the last call that began after that.
func (c *course) failuresAtOpening() int {
	at := c.silences[0].first.Sent
	if c.tripped >= 0 {
		at = max(c.tripped, c.cutoff)
	}
	n := 0
	for _, x := range c.failures {
		if x.End <= at {
			n++
		}
	}
	return n
}

// begunAfter lists the requests that were sent and called in (after, cutoff].
// Those sent before may have been let through before.
func (c *course) begunAfter(t *traffic, after time.Duration) []uint64 {
	var ids []uint64
	seen := map[uint64]bool{}
	for _, x := range t.begun(after+1, c.cutoff+1) {
		if x.ID != 0 && seen[x.ID] || t.held(x, after) {
			continue
		}
		seen[x.ID] = true
		ids = append(ids, x.ID)
	}
	return ids
}

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
