package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// traffic is what one route sends over one link, matched call by call: which
// arrivals caused a call, and which were answered without one.
//
// It reads the samples by Sent, not by Intended: what a busy harness sent late
// reached the system late, and that is not the system's doing.
//
// The claims of a run share it: it is not changed once it is there.
type traffic struct {
	run      *evidence.Run
	link     *evidence.Link
	name     string         // of the route; "" for all
	owns     func(int) bool // whether a route's requests are meant; nil is all
	requests arrivals       // what was sent, by Sent, up to end
	calls    exchanges      // the route's, by Begin, up to end
	matched  bool           // request ids reach the link; otherwise every exchange on the link counts as the route's
	again    bool           // some request made several calls
	first    time.Duration  // when the first fault on the way to the dependency was injected; end if none was
	end      time.Duration  // how far the evidence can be trusted
	rate     float64        // arrivals per second
	flow     float64        // calls per arrival while nothing is wrong
	row      int            // so many arrivals in a row without a call are no chance: less than 1 in 10⁹
	plain    []int          // statuses of answers that needed no call before the first fault: those of a cache, say no rejection

	openPeriods func() []openPeriod
}

// trafficOf matches route and link. The text says why it cannot; "" if it can.
func trafficOf(run *evidence.Run, linkName, route string) (*traffic, string) {
	link := run.Links[linkName]
	if link == nil {
		return nil, fmt.Sprintf(noLink, linkName)
	}
	if !hasRoute(run, route) {
		return nil, fmt.Sprintf(noRoute, route)
	}
	end := horizon(run)
	first := end
	for _, f := range run.Faults {
		if f.Injected >= 0 && onPath(link, f) {
			first = min(first, f.Injected)
		}
	}
	type key struct{ link, route string }
	type of struct{ samples, exchanges, ticks, end, first any }
	t := evidence.Memoized(run, key{linkName, route}, of{recordsOf(run.Samples), recordsOf(link.Exchanges), recordsOf(run.Ticks),
		end, first}, func() *traffic { return match(run, link, route, first, end) })
	switch {
	case t.requests.len() == 0:
		return t, "nothing was sent: give load.rate more, or let the load last for longer"
	case t.flow < 0.1:
		return t, "hardly any request of the route makes a call over " + strconv.Quote(link.Name) + ": name a route that does"
	}
	return t, ""
}

// records names a slice, so that another one is told apart from it.
type records[T any] struct {
	first *T
	n     int
}

func recordsOf[T any](list []T) records[T] {
	if len(list) == 0 {
		return records[T]{}
	}
	return records[T]{&list[0], len(list)}
}

// match finds what the route sent and what calls it made.
func match(run *evidence.Run, link *evidence.Link, route string, first, end time.Duration) *traffic {
	t := &traffic{run: run, link: link, name: route, first: first, end: end, matched: propagates(link)}
	if route != "" {
		t.owns = run.Owns(route)
	}
	samples, _ := samplesOf(run, route)
	t.requests = samples.where(func(s *load.Sample) bool { return s.Outcome != load.Unsent && s.Sent < t.end })
	t.requests = t.requests.ordered(func(a, b *load.Sample) int { return cmp.Compare(a.Sent, b.Sent) })
	t.calls = every(link.Exchanges).where(func(x *evidence.Exchange) bool { return x.Begin < t.end && (!t.matched || t.own(x)) })
	t.calls = t.calls.ordered(func(a, b *evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
	for i := 0; i < t.calls.len() && t.matched && !t.again; i++ {
		t.again = t.link.CausedBy(t.calls.get(i).ID)[0] != t.calls.place(i)
	}
	t.openPeriods = sync.OnceValue(t.findOpenPeriods)
	t.measure()
	return t
}

// sampleOf is the request of the route that caused a call; false if it is not
// known.
func (t *traffic) sampleOf(x *evidence.Exchange) (*load.Sample, bool) {
	if !t.matched || x.ID == 0 {
		return nil, false
	}
	s, ok := t.run.Sample(x.ID)
	if !ok || t.owns != nil && !t.owns(s.Route) {
		return nil, false
	}
	return s, true
}

// own reports whether a call is known to be the route's.
func (t *traffic) own(x *evidence.Exchange) bool {
	_, own := t.sampleOf(x)
	return own
}

// made lists where in the link's exchanges the calls of a request are, by Begin.
func (t *traffic) made(id uint64) []int32 {
	calls := t.link.CausedBy(id)
	for n := len(calls); n > 0 && t.link.Exchanges[calls[n-1]].Begin >= t.end; n-- {
		calls = calls[:n-1]
	}
	return calls
}

// measure finds the rate of arrivals and, from the time before the first
// fault, how many of them make a call: a cache in the system under test
// answers some without one. Too short a time before tells nothing; then each
// arrival is taken to make one.
func (t *traffic) measure() {
	if t.end > 0 {
		t.rate = float64(t.requests.len()) / t.end.Seconds()
	}
	before := t.sent(0, t.first)
	calls := t.begun(0, t.first).len()
	if t.matched {
		calls = 0
		for _, s := range before.all() {
			if t.called(s) {
				calls++
			} else if answered(s) && !slices.Contains(t.plain, s.Status) {
				t.plain = append(t.plain, s.Status)
			}
		}
	}
	n := float64(before.len())
	if n < 30 {
		t.flow, t.row = 1, minRejected
		return
	}
	t.flow = float64(calls) / n
	if t.matched { // one that is not seen in n may still happen: rule of succession
		t.row = int(math.Ceil(math.Log(1e-9) / math.Log((n-float64(calls)+1)/(n+2))))
	} else if t.flow > 0 { // no call where 21 are expected: e^−21
		t.row = int(math.Ceil(21 / t.flow))
	}
}

// sent returns the samples sent in [from, to).
func (t *traffic) sent(from, to time.Duration) arrivals {
	return t.requests.part(t.index(from), t.index(to))
}

// index is how many of the samples were sent before a moment.
func (t *traffic) index(at time.Duration) int {
	return t.requests.before(func(s *load.Sample) bool { return s.Sent >= at })
}

// begun returns the calls begun in [from, to).
func (t *traffic) begun(from, to time.Duration) exchanges {
	lo := t.calls.before(func(x *evidence.Exchange) bool { return x.Begin >= from })
	return t.calls.part(lo, t.calls.before(func(x *evidence.Exchange) bool { return x.Begin >= to }))
}

// called reports whether the arrival made a call; only if matched.
func (t *traffic) called(s *load.Sample) bool {
	calls := t.link.CausedBy(s.ID)
	return len(calls) > 0 && t.link.Exchanges[calls[0]].Begin < t.end
}

// rejected reports whether the arrival was answered without a call, before the end
// of the evidence, which its call may lie beyond. Without ids
// that cannot be told of a single one: then every answer counts, and it is for
// the caller to look only where there were no calls at all.
func (t *traffic) rejected(s *load.Sample) bool {
	return answered(s) && s.Done < t.end && !(t.matched && t.called(s))
}

// openPeriod is a stretch in which the route made no call although its arrivals
// were answered: what an open breaker looks like from both sides.
type openPeriod struct {
	from     time.Duration // Begin of the last call before it
	to       time.Duration // Begin of the first call after it; the end of the evidence if not ended
	ended    bool
	next     int          // index in calls of the call that ended it
	rejected arrivals     // answered without a call in it, by Sent
	first    *load.Sample // the first that was turned away; it may have been sent just before from
}

// findOpenPeriods finds every stretch without calls of at least minOpenPeriod in
// which at least ten arrivals were answered: more than chance explains. Where requests
// are known one by one it is certain; where there are only rates, the host may
// have stalled, and that must not be all of it.
//
// A few calls in it of requests that were sent before it are let pass: they
// had been let through before and were held up on their way, by a stalled host
// or a new connection.
func (t *traffic) findOpenPeriods() []openPeriod {
	var all []openPeriod
	for i := 0; i < t.calls.len(); i++ {
		s := openPeriod{from: t.calls.get(i).Begin, to: t.end, next: i + 1}
		for s.next < t.calls.len() && t.sentBefore(t.calls.get(s.next), s.from) {
			s.next++
		}
		if s.ended = s.next < t.calls.len(); s.ended {
			s.to = t.calls.get(s.next).Begin
		}
		if s.to-s.from < minOpenPeriod || !t.matched && s.to-s.from-t.run.Noise(s.from, s.to) < minOpenPeriod {
			continue
		}
		s.rejected = t.sent(s.from, s.to).where(func(x *load.Sample) bool {
			return t.rejected(x) && (x.Done <= s.to || !t.matched) // what a stalled host lets go of all at once is no open period
		})
		if n := s.rejected.len(); n < max(minRejected, t.row) || 20*(s.next-i-1) > n {
			continue
		}
		s.first = s.rejected.get(0)
		before := t.sent(s.from-time.Second, s.from)
		for i := before.len() - 1; i >= 0 && t.matched && !t.called(before.get(i)); i-- {
			if t.rejected(before.get(i)) {
				s.first = before.get(i)
			}
		}
		all = append(all, s)
		i = s.next - 1
	}
	return all
}

// sentBefore reports whether the request of a call was sent before a moment at which
// its call had not begun.
func (t *traffic) sentBefore(x *evidence.Exchange, at time.Duration) bool {
	if !t.matched {
		return false
	}
	s, _ := t.sampleOf(x)
	return s.Sent <= at
}

const (
	minOpenPeriod = 100 * time.Millisecond
	minRejected   = 10
)

// lastRejected is when the last request was sent that was surely turned away
// after the moment opened and before the call next was let through: it was
// answered before that one's own request was sent (one that came in between was
// turned away because half-open lets no more through), and where some requests
// need no call, more came after it than chance leaves without one. It is opened
// if there was none.
func (t *traffic) lastRejected(opened time.Duration, next *evidence.Exchange, ended bool) time.Duration {
	before := t.end
	if ended && t.matched {
		s, _ := t.sampleOf(next)
		before = s.Sent
	} else if ended {
		before = next.Begin - t.run.Noise(opened, next.Begin)
	}
	left := t.chance()
	sent := t.sent(opened, before)
	for i := sent.len() - 1; i >= 0; i-- {
		if s := sent.get(i); s.Done <= before && t.rejected(s) {
			if left == 0 || t.hasNewStatus(s) {
				return s.Sent
			}
			left--
		}
	}
	return opened
}

// hasNewStatus reports whether the status of an answer without a call is one that
// such answers never had before the first fault: then it is a rejection.
func (t *traffic) hasNewStatus(s *load.Sample) bool {
	return t.matched && !slices.Contains(t.plain, s.Status)
}

// chance is how many requests in a row may need no call although calls flow: less
// than once in a thousand times there are more. It is for when something was, where
// row is for whether it was.
func (t *traffic) chance() int {
	if t.matched && len(t.plain) == 0 || !t.matched && t.flow > 0.99 {
		return 0
	}
	return (t.row + 2) / 3
}

// after is the first call that was let through after a moment: that of a
// request sent after it, where requests are known.
func (t *traffic) after(at time.Duration) (i int, ok bool) {
	i = t.calls.before(func(x *evidence.Exchange) bool { return x.Begin > at })
	for i < t.calls.len() && t.sentBefore(t.calls.get(i), at) {
		i++
	}
	return i, i < t.calls.len()
}

// flowing finds the first moment in [from, to) from which on, over a window,
// the route's arrivals make their calls again: 95% of what they do when
// nothing is wrong. It is false if there is none with a whole window before to.
func (t *traffic) flowing(from, to, window time.Duration) (time.Duration, bool) {
	if !t.matched {
		return t.flowingByRate(from, to, window)
	}
	sent := t.sent(from, to)
	j, made := 0, 0 // so many of those sent from i up to j made a call
	for i, s := range sent.all() {
		if s.Sent+window > to {
			return 0, false
		}
		for ; j < sent.len() && sent.get(j).Sent < s.Sent+window; j++ {
			if t.called(sent.get(j)) {
				made++
			}
		}
		if !t.called(s) {
			continue
		}
		if float64(made) >= 0.95*t.flow*float64(j-i) {
			return s.Sent, true
		}
		made--
	}
	return 0, false
}

func (t *traffic) flowingByRate(from, to, window time.Duration) (time.Duration, bool) {
	for _, x := range t.begun(from, to).all() {
		if x.Begin+window > to {
			return 0, false
		}
		n := t.sent(x.Begin, x.Begin+window).len()
		if n > 0 && float64(t.begun(x.Begin, x.Begin+window).len()) >= 0.9*t.flow*float64(n) {
			return x.Begin, true
		}
	}
	return 0, false
}

// flowWindow is how long calls must flow to count as flowing.
func (t *traffic) flowWindow() time.Duration {
	return max(300*time.Millisecond, t.lasting(50))
}

// lasting is how long it takes on average until n arrivals have come.
func (t *traffic) lasting(n float64) time.Duration {
	if t.rate <= 0 {
		return t.end
	}
	return time.Duration(min(n/t.rate, float64(t.end)/float64(time.Second)) * float64(time.Second))
}

// strangers counts the calls of other routes over the link in [from, to): they may
// go through the same breaker. What carries no request id belongs to no request, as
// a health check, where the system passes ids on.
func (t *traffic) strangers(from, to time.Duration) (n int, first time.Duration) {
	if !t.matched || from >= to {
		return 0, 0
	}
	window := t.link.Window(from, to)
	for i := range window {
		if x := &window[i]; x.ID != 0 && !t.own(x) {
			if n++; n == 1 {
				first = x.Begin
			}
		}
	}
	return n, first
}
