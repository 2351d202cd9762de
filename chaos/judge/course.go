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
	learned  time.Duration // by then the system surely knew of that failure; -1 likewise
	cutoff   time.Duration // Begin of the last call before it opened; the end of the episode if it did not
	closed   time.Duration // when calls flowed again after healing; -1 if they were not seen to
}

// courseOf follows the breaker through one episode. count is after how many
// consecutive failures it must open; 0 means that is not claimed.
func courseOf(t *traffic, e span, limit time.Duration, silences []silence, count int) course {
	c := course{span: e, limit: limit, tripped: -1, learned: -1, closed: -1, cutoff: min(e.to, limit)}
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
	row, sure := 0, 0
	var good, learned time.Duration // when the system surely knew of the last success, and of the failures since
	for _, x := range ended {
		if c.hit(x) {
			c.touched++
		}
		if !failed(x) {
			row, sure, learned = 0, 0, 0
			good = max(good, c.knownAt(t, x))
			c.mixed = c.mixed || x.Begin > c.from+c.noise && x.End < c.to-c.noise // healing lets go of what is delayed
			continue
		}
		c.failures = append(c.failures, x)
		if row++; row == count && c.tripped < 0 {
			c.tripped = x.End
		}
		if x.End <= good {
			continue // the system may have learned of it before that success
		}
		learned = max(learned, c.knownAt(t, x))
		if sure++; sure == count && c.learned < 0 {
			c.learned = learned
		}
	}
}

// knownAt is when the system surely knew what a call came to: once its caller
// had the answer made of it. This is cause and effect, read off one clock, and
// needs no allowance for a host that stalls. Where the caller was answered
// without it, the noise must do.
func (c *course) knownAt(t *traffic, x evidence.Exchange) time.Duration {
	if s, ok := t.byID[x.ID]; ok && t.matched && answered(s) && s.Done >= x.End {
		return s.Done
	}
	return x.End + c.noise
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
