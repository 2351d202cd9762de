package judge

import (
	"slices"
	"sort"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// episodeTrace is what a breaker did about one episode of faults.
type episodeTrace struct {
	span
	base        time.Duration // the breaker was closed then: the run began, or calls flowed after the episode before
	limit       time.Duration // evidence for this episode ends here: at the next one, or with the run
	calm        time.Duration // until then nothing else was injected after it
	already     bool          // the breaker was open before the episode began
	opening     *opening      // when it opened; nil if it was not seen to
	openPeriods []openPeriod  // since then, in which nothing was let through
	touched     int           // calls before it opened that a fault hit
	failed      int           // of those that ended before it opened, the ones that failed
	mixed       bool          // before it opened, calls also succeeded under the fault
	flowed      time.Duration // when calls flowed again after healing; -1 if they were not seen to
	closed      time.Duration // the same, and it did not open again until limit; -1 likewise
	twice       int           // how many times it opened again after calls had flowed
}

// opening is when a breaker opened. It was closed when it let the last request
// through, which was not before that was sent, and it had opened when it turned
// the first away, which was not after that was answered.
type opening struct {
	notYet, surely time.Duration
	earliest       time.Duration // of several instances, when the first may have opened
	admitted       int           // how many of front[:admitted] were sent before it surely had
}

// seen reports whether the breaker was seen to open in the episode.
func (c *episodeTrace) seen() bool { return c.opening != nil }

// until is when the breaker had surely opened, or the end of what it was asked.
func (c *episodeTrace) until() time.Duration {
	if c.opening != nil {
		return c.opening.surely
	}
	return min(c.to, c.limit)
}

// over is until when the episode and what follows from it lasts.
func (c *episodeTrace) over() time.Duration {
	if c.flowed >= 0 {
		return c.limit
	}
	return max(c.until(), min(c.to, c.limit))
}

// traces follows the breaker through each episode of faults that make calls
// fail. An episode that finds it open yet is one with the episode before.
func (b Breaker) traces(t *traffic, o *observed) []episodeTrace {
	spans := episodes(t.run, 0, func(i evidence.Injection) bool { return onPath(t.link, i) && b.breaks(i) })
	var all []episodeTrace
	var base time.Duration
	for i := 0; i < len(spans); i++ {
		e := spans[i]
		var c episodeTrace
		for {
			limit := t.end
			if i+1 < len(spans) {
				limit = spans[i+1].from
			}
			c = b.traceOf(t, o, e, base, limit)
			if !c.seen() || c.closed >= 0 || i+1 == len(spans) {
				break
			}
			i++
			e.to, e.healed, e.faults = max(e.to, spans[i].to), e.healed && spans[i].healed,
				append(slices.Clone(e.faults), spans[i].faults...)
		}
		all = append(all, c)
		switch {
		case c.closed >= 0:
			base = c.closed
		case c.seen():
			base = min(c.to, c.limit)
		}
	}
	return all
}

// traceOf follows the breaker through one episode.
func (b Breaker) traceOf(t *traffic, o *observed, e span, base, limit time.Duration) episodeTrace {
	c := episodeTrace{span: e, base: base, limit: limit, calm: limit, flowed: -1, closed: -1}
	for _, f := range t.run.Faults {
		if f.Injected >= e.to {
			c.calm = min(c.calm, f.Injected)
		}
	}
	for _, s := range o.openPeriods {
		c.already = c.already || s.first.Done < e.from && s.to > e.from
	}
	if !c.already {
		c.opening = o.openingOf(t, b.instances(), c)
	}
	for _, s := range o.openPeriods {
		if (c.already || c.seen() && s.to > c.opening.surely) && s.to > e.from && s.from < limit {
			if n := len(c.openPeriods); n == 0 || !o.halfOpenStill(t, c.openPeriods[n-1], s) {
				c.openPeriods = append(c.openPeriods, s)
			}
		}
	}
	c.tally(t, o)
	if !e.healed || !c.seen() && !c.already {
		return c
	}
	last := max(e.to, c.until())
	if at, ok := t.flowing(last, limit, t.flowWindow()); ok {
		c.flowed = at
	}
	for _, s := range c.openPeriods {
		if s.from >= c.calm {
			break
		}
		if c.flowed >= 0 && s.from >= c.flowed {
			c.twice++
		}
		last = max(last, min(s.to, limit))
	}
	if at, ok := t.flowing(last, limit, t.flowWindow()); ok {
		c.closed = at
	}
	return c
}

// halfOpenStill reports whether what looks like open behind an open period is the
// wait for the results of its probes: none that is known by then failed, and all
// requests turned away were sent before the last was surely known. A process that
// has to wait for a core may learn of a result long after the link saw it.
func (o *observed) halfOpenStill(t *traffic, before, s openPeriod) bool {
	if !t.matched || !before.ended {
		return false
	}
	known := time.Duration(0)
	for _, x := range t.calls.part(before.next, t.calls.len()).all() {
		if x.Begin > s.from {
			break
		}
		if o.fails(x) {
			return false
		}
		known = max(known, t.knownAt(x))
	}
	return s.rejected.get(s.rejected.len()-1).Sent <= known
}

// tally counts what the calls before the opening came to.
func (c *episodeTrace) tally(t *traffic, o *observed) {
	until := c.until()
	calls := t.begun(c.from-maxInFlight, until)
	counts := func(x *evidence.Exchange) bool { return x.End >= c.from && x.Ending != evidence.Cut }
	// before reports whether an attempt of the same request has failed already.
	before := func(i int) bool {
		for _, at := range t.made(calls.get(i).ID) {
			if at >= calls.place(i) {
				break
			}
			if x := &t.link.Exchanges[at]; at >= calls.place(0) && counts(x) && o.fails(x) {
				return true
			}
		}
		return false
	}
	for i, x := range calls.all() {
		if !counts(x) {
			continue
		}
		if c.hit(x) {
			c.touched++
		}
		switch bad := o.fails(x); {
		case bad && t.again && before(i):
		case bad:
			c.failed++
		case x.Begin > c.from+evidence.LeastNoise && x.End < min(c.to, until)-evidence.LeastNoise: // healing lets go of what is delayed
			c.mixed = true
		}
	}
}

// maxInFlight is how long before an episode the calls began that may end in it.
const maxInFlight = time.Minute

// observed is what the run shows of a breaker without regard to what is claimed
// of it but for what it ignores.
type observed struct {
	fails       func(*evidence.Exchange) bool
	outcomes    [2][]outcome       // by request and by attempt
	bad         [2][]time.Duration // when it may have learned of the failures among them, sorted
	strangers   []time.Duration    // failures that may count beside them
	openPeriods []openPeriod
	calls       exchanges       // by Begin
	known       []time.Duration // when their callers knew what came of them, sorted
	most        int             // calls in progress at once, at the most
}

// observe is what was seen of the traffic, made once for all claims about it that ignore
// the same statuses.
func (b Breaker) observe(t *traffic) *observed {
	type key struct{ link, route, ignores string }
	return evidence.Memoized(t.run, key{b.Link, b.Route, list(b.Ignores)}, t, func() *observed { return observedOf(t, b.Ignores) })
}

func observedOf(t *traffic, ignores []int) *observed {
	o := &observed{fails: func(x *evidence.Exchange) bool { return failed(x) && !slices.Contains(ignores, x.Status) },
		openPeriods: t.openPeriods(), calls: t.calls}
	o.outcomes[perAttempt] = t.outcomes(true, o.fails)
	if o.outcomes[perRequest] = o.outcomes[perAttempt]; t.again {
		o.outcomes[perRequest] = t.outcomes(false, o.fails)
	}
	for i, list := range o.outcomes {
		n := 0
		for _, x := range list {
			if x.bad {
				n++
			}
		}
		o.bad[i] = make([]time.Duration, 0, n)
		for _, x := range list {
			if x.bad {
				o.bad[i] = append(o.bad[i], x.early)
			}
		}
	}
	o.strangers = t.failedStrangers(o.fails)
	o.known = make([]time.Duration, 0, len(o.outcomes[perAttempt]))
	for _, done := range o.outcomes[perAttempt] {
		o.known = append(o.known, done.late)
	}
	slices.Sort(o.known)
	o.most = mostAtOnce(t.calls)
	return o
}

// mostAtOnce is the most calls that were in progress when one began.
func mostAtOnce(calls exchanges) int {
	ends := make([]time.Duration, 0, calls.len())
	for _, x := range calls.all() {
		ends = append(ends, x.End)
	}
	slices.Sort(ends)
	most, over := 0, 0
	for i, x := range calls.all() {
		for over < len(ends) && ends[over] <= x.Begin {
			over++
		}
		most = max(most, i+1-over)
	}
	return most
}

// inProgress is how many calls may have been in progress at a moment.
func (o *observed) inProgress(at time.Duration) int {
	since := o.calls.before(func(x *evidence.Exchange) bool { return x.Begin > -1 })
	begun := o.calls.before(func(x *evidence.Exchange) bool { return x.Begin > at })
	return max(0, begun-since) - timesBy(o.known, -1, at)
}

// openingOf finds when the breaker opened in an episode: when a request was
// first turned away, and many that came after it were, too. It must have learned
// of a failure by then, and must have had room for the call if it is a bulkhead
// as well: fewer are in progress than were at some other time. Of several
// instances behind the link, all have opened when nothing is let through.
//
// Where calls are known by their rates only, that nothing is let through is all
// there is to see.
func (o *observed) openingOf(t *traffic, instances int, c episodeTrace) *opening {
	noise := t.run.Noise(c.from, min(c.to, c.limit))
	var quiet *openPeriod
	for i, s := range o.openPeriods {
		if s.to > c.from && s.first.Done >= c.from && s.from < c.limit && s.from <= c.to+noise &&
			o.failuresMaybe(c.base, s.first.Done) > 0 {
			quiet = &o.openPeriods[i]
			break
		}
	}
	if !t.matched {
		if quiet == nil {
			return nil
		}
		first := quiet.rejected.get(quiet.rejected.len() - 1)
		if later := t.sent(quiet.from+1, quiet.to); later.len() > 0 {
			first = later.get(0)
		}
		opens := &opening{notYet: max(c.from, quiet.from-noise), surely: first.Done, admitted: t.index(quiet.from - noise)}
		opens.earliest = min(o.firstFailure(c), opens.notYet)
		return opens
	}
	first, ok := o.firstRejected(t, c, min(c.limit, c.to+noise))
	if !ok {
		return nil
	}
	at := first
	if instances > 1 {
		if quiet == nil {
			return nil
		}
		first = quiet.first
	}
	opens := &opening{surely: first.Done, admitted: t.index(first.Done + 1)}
	for i := t.index(at.Done+1) - 1; i >= 0; i-- {
		if s := t.requests.get(i); t.called(s) {
			opens.notYet = s.Sent
			break
		}
	}
	opens.earliest = min(o.firstFailure(c), opens.surely)
	opens.notYet = max(min(opens.notYet, opens.surely), opens.earliest)
	return opens
}

// firstRejected is the first request that the breaker turned away in an episode.
func (o *observed) firstRejected(t *traffic, c episodeTrace, until time.Duration) (first *load.Sample, ok bool) {
	n := 2 * max(minRejected, t.row)
	row := 0
	lo, hi := t.index(c.from), t.index(until)
	for i := lo; i < hi; i++ {
		s := t.requests.get(i)
		if !t.rejected(s) {
			row = 0
			continue
		}
		if row++; !t.hasNewStatus(s) && row < t.chance() {
			continue
		}
		if o.failuresMaybe(c.base, s.Done) == 0 || o.inProgress(s.Sent) >= o.most {
			continue
		}
		next := t.requests.part(i, min(t.requests.len(), i+n))
		through := 0
		for _, s := range next.all() {
			if t.called(s) {
				through++
			}
		}
		if next.len() >= minRejected && float64(through) <= 0.6*t.flow*float64(next.len()) {
			return s, true
		}
	}
	return first, false
}

// failuresMaybe is how many failures it may have learned of in (since, at].
func (o *observed) failuresMaybe(since, at time.Duration) int {
	return timesBy(o.bad[perAttempt], since, at) + timesBy(o.strangers, since, at)
}

// firstFailure is when the breaker may have learned of a failure first, since it
// was closed.
func (o *observed) firstFailure(c episodeTrace) time.Duration {
	first := c.limit
	for _, list := range [][]time.Duration{o.bad[perAttempt], o.strangers} {
		if i := sort.Search(len(list), func(i int) bool { return list[i] > c.base }); i < len(list) {
			first = min(first, list[i])
		}
	}
	return first
}
