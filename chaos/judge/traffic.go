package judge

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// traffic is what one route sends over one link, matched call by call: which
// arrivals caused a call, and which were answered without one.
//
// It reads the front by Sent, not by Intended: what a busy harness sent late
// reached the system late, and that is not the system's doing.
type traffic struct {
	run     *evidence.Run
	link    *evidence.Link
	front   []load.Sample       // what was sent, by Sent, up to end
	calls   []evidence.Exchange // the route's, by Begin, up to end
	behind  map[uint64][]evidence.Exchange
	byID    map[uint64]load.Sample
	matched bool          // request ids reach the link; otherwise every exchange on the link counts as the route's
	first   time.Duration // when the first fault on the way to the dependency was injected; end if none was
	end     time.Duration // how far the evidence can be trusted
	rate    float64       // arrivals per second
	flow    float64       // calls per arrival while nothing is wrong
	row     int           // so many arrivals in a row without a call are no chance: less than 1 in 10⁹
	plain   []int         // statuses of answers that needed no call before the first fault: those of a cache, say no rejection
}

// trafficOf matches route and link. The text says why it cannot; "" if it can.
func trafficOf(run *evidence.Run, linkName, route string) (*traffic, string) {
	link := run.Links[linkName]
	if link == nil {
		return nil, "the run has no link " + linkName
	}
	samples, ok := frontOf(run, route)
	if !ok {
		return nil, "the run has no route " + route
	}
	t := &traffic{run: run, link: link, end: horizon(run), matched: propagates(link)}
	t.first = t.end
	for _, f := range run.Faults {
		if f.Injected >= 0 && onPath(link, f) {
			t.first = min(t.first, f.Injected)
		}
	}
	t.byID = sampleByID(samples)
	for _, s := range samples {
		if s.Outcome != load.Unsent && s.Sent < t.end {
			t.front = append(t.front, s)
		}
	}
	slices.SortStableFunc(t.front, func(a, b load.Sample) int { return cmp.Compare(a.Sent, b.Sent) })
	for _, x := range link.Exchanges {
		_, own := t.byID[x.ID]
		if x.Begin < t.end && (own && x.ID != 0 || !t.matched) {
			t.calls = append(t.calls, x)
		}
	}
	slices.SortStableFunc(t.calls, func(a, b evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
	t.behind = exchangesByID(t.calls)
	t.measure()
	switch {
	case len(t.front) == 0:
		return t, "nothing was sent"
	case t.flow < 0.1:
		return t, "hardly any request of the route makes a call over " + link.Name
	}
	return t, ""
}

// measure finds the rate of arrivals and, from the time before the first
// fault, how many of them make a call: a cache in the system under test
// answers some without one. Too short a time before tells nothing; then each
// arrival is taken to make one.
func (t *traffic) measure() {
	if t.end > 0 {
		t.rate = float64(len(t.front)) / t.end.Seconds()
	}
	before := t.sent(0, t.first)
	calls := len(t.begun(0, t.first))
	if t.matched {
		calls = 0
		for _, s := range before {
			if t.called(s) {
				calls++
			} else if answered(s) && !slices.Contains(t.plain, s.Status) {
				t.plain = append(t.plain, s.Status)
			}
		}
	}
	n := float64(len(before))
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
func (t *traffic) sent(from, to time.Duration) []load.Sample {
	lo := sort.Search(len(t.front), func(i int) bool { return t.front[i].Sent >= from })
	hi := sort.Search(len(t.front), func(i int) bool { return t.front[i].Sent >= to })
	return t.front[lo:max(lo, hi)]
}

// index is how many of the samples were sent before a moment.
func (t *traffic) index(at time.Duration) int {
	return sort.Search(len(t.front), func(i int) bool { return t.front[i].Sent >= at })
}

// begun returns the calls begun in [from, to).
func (t *traffic) begun(from, to time.Duration) []evidence.Exchange {
	lo := sort.Search(len(t.calls), func(i int) bool { return t.calls[i].Begin >= from })
	hi := sort.Search(len(t.calls), func(i int) bool { return t.calls[i].Begin >= to })
	return t.calls[lo:max(lo, hi)]
}

// called tells whether the arrival made a call; only if matched.
func (t *traffic) called(s load.Sample) bool { return len(t.behind[s.ID]) > 0 }

// rejected tells whether the arrival was answered without a call, before the end
// of the evidence, which its call may lie beyond. Without ids
// that cannot be told of a single one: then every answer counts, and it is for
// the caller to look only where there were no calls at all.
func (t *traffic) rejected(s load.Sample) bool {
	return answered(s) && s.Done < t.end && !(t.matched && t.called(s))
}

// slack is the noise in [from, to] between front and behind. Beside the host's
// hiccups it knows how unevenly requests came through the system to the link
// in that time, which shows delays that a sleeping thread does not see; at
// most 100 ms of it, because a queue in the system shows there too.
func (t *traffic) slack(from, to time.Duration) time.Duration {
	noise := t.run.Noise(from, to)
	if !t.matched {
		return noise
	}
	var through []time.Duration
	for _, s := range t.sent(from, to) {
		if xs := t.behind[s.ID]; len(xs) > 0 {
			through = append(through, xs[0].Begin-s.Sent)
		}
	}
	uneven := percentile(through, 1) - percentile(through, 0.5)
	return max(noise, min(uneven, 100*time.Millisecond))
}

// silence is a stretch in which the route made no call although its arrivals
// were answered: what an open breaker looks like from both sides.
type silence struct {
	from     time.Duration // Begin of the last call before it
	to       time.Duration // Begin of the first call after it; the end of the evidence if not ended
	ended    bool
	next     int           // index in calls of the call that ended it
	rejected []load.Sample // answered without a call in it, by Sent
	first    load.Sample   // the first that was turned away; it may have been sent just before from
}

// silences finds every stretch without calls of at least minSilence in which at
// least ten arrivals were answered: more than chance explains. Where requests
// are known one by one it is certain; where there are only rates, the host may
// have stalled, and that must not be all of it.
//
// A few calls in it of requests that were sent before it are let pass: they
// had been let through before and were held up on their way, by a stalled host
// or a new connection.
func (t *traffic) silences() []silence {
	var all []silence
	for i := 0; i < len(t.calls); i++ {
		s := silence{from: t.calls[i].Begin, to: t.end, next: i + 1}
		for s.next < len(t.calls) && t.held(t.calls[s.next], s.from) {
			s.next++
		}
		if s.ended = s.next < len(t.calls); s.ended {
			s.to = t.calls[s.next].Begin
		}
		if s.to-s.from < minSilence || !t.matched && s.to-s.from-t.run.Noise(s.from, s.to) < minSilence {
			continue
		}
		for _, sample := range t.sent(s.from, s.to) {
			if t.rejected(sample) && (sample.Done <= s.to || !t.matched) { // what a stalled host lets go of all at once is no silence
				s.rejected = append(s.rejected, sample)
			}
		}
		if n := len(s.rejected); n < max(minRejected, t.row) || 20*(s.next-i-1) > n {
			continue
		}
		s.first = s.rejected[0]
		before := t.sent(s.from-time.Second, s.from)
		for i := len(before) - 1; i >= 0 && t.matched && !t.called(before[i]); i-- {
			if t.rejected(before[i]) {
				s.first = before[i]
			}
		}
		all = append(all, s)
		i = s.next - 1
	}
	return all
}

// held tells whether the request of a call was sent before a moment at which
// its call had not begun.
func (t *traffic) held(x evidence.Exchange, at time.Duration) bool {
	return t.matched && t.byID[x.ID].Sent <= at
}

const (
	minSilence  = 100 * time.Millisecond
	minRejected = 10
)

// lastTurned is when the last request was sent that was surely turned away
// after the moment opened and before the call next was let through: it was
// answered before that one's own request was sent (one that came in between was
// turned away because half-open lets no more through), and where some requests
// need no call, more came after it than chance leaves without one. It is opened
// if there was none.
func (t *traffic) lastTurned(opened time.Duration, next evidence.Exchange, ended bool) time.Duration {
	before := t.end
	if ended && t.matched {
		s, _ := t.sampleOf(next)
		before = s.Sent
	} else if ended {
		before = next.Begin - t.run.Noise(opened, next.Begin)
	}
	left := t.chance()
	sent := t.sent(opened, before)
	for i := len(sent) - 1; i >= 0; i-- {
		if s := sent[i]; s.Done <= before && t.rejected(s) {
			if left == 0 || t.telling(s) {
				return s.Sent
			}
			left--
		}
	}
	return opened
}

// telling reports whether the status of an answer without a call is one that
// such answers never had before the first fault: then it is a rejection.
func (t *traffic) telling(s load.Sample) bool {
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

// sampleOf is the sample of the request that caused a call; false if it is not
// known.
func (t *traffic) sampleOf(x evidence.Exchange) (load.Sample, bool) {
	if !t.matched {
		return load.Sample{}, false
	}
	s, ok := t.byID[x.ID]
	return s, ok
}

// after is the first call that was let through after a moment: that of a
// request sent after it, where requests are known.
func (t *traffic) after(at time.Duration) (i int, ok bool) {
	i = sort.Search(len(t.calls), func(i int) bool { return t.calls[i].Begin > at })
	for i < len(t.calls) && t.held(t.calls[i], at) {
		i++
	}
	return i, i < len(t.calls)
}

// flowing finds the first moment in [from, to) from which on, over a window,
// the route's arrivals make their calls again: 95% of what they do when
// nothing is wrong. It is false if there is none with a whole window before to.
func (t *traffic) flowing(from, to, window time.Duration) (time.Duration, bool) {
	sent := t.sent(from, to)
	if !t.matched {
		for _, x := range t.begun(from, to) {
			if x.Begin+window > to {
				return 0, false
			}
			n := len(t.sent(x.Begin, x.Begin+window))
			if n > 0 && float64(len(t.begun(x.Begin, x.Begin+window))) >= 0.9*t.flow*float64(n) {
				return x.Begin, true
			}
		}
		return 0, false
	}
	made := make([]int, len(sent)+1) // made[i] is how many of sent[:i] made a call
	for i, s := range sent {
		made[i+1] = made[i]
		if t.called(s) {
			made[i+1]++
		}
	}
	j := 0
	for i, s := range sent {
		if s.Sent+window > to {
			return 0, false
		}
		for j < len(sent) && sent[j].Sent < s.Sent+window {
			j++
		}
		if t.called(s) && float64(made[j]-made[i]) >= 0.95*t.flow*float64(j-i) {
			return s.Sent, true
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
// go through the same breaker. What carries no request id is nobody's request, as
// a health check, where the system passes ids on.
func (t *traffic) strangers(from, to time.Duration) (n int, first time.Duration) {
	if !t.matched || from >= to {
		return 0, 0
	}
	for _, x := range t.link.Window(from, to) {
		if _, own := t.byID[x.ID]; !own && x.ID != 0 {
			if n++; n == 1 {
				first = x.Begin
			}
		}
	}
	return n, first
}
