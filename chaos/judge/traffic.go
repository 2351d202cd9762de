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
	ends    []time.Duration     // ends[i] is the latest End of calls[:i+1]
	others  []time.Duration     // Begin of the exchanges on the link that are not the route's
	behind  map[uint64][]evidence.Exchange
	byID    map[uint64]load.Sample
	matched bool          // request ids reach the link; otherwise every exchange on the link counts as the route's
	first   time.Duration // when the first fault on the way to the dependency was injected; end if none was
	end     time.Duration // how far the evidence can be trusted
	rate    float64       // arrivals per second
	flow    float64       // calls per arrival while nothing is wrong
	row     int           // so many arrivals in a row without a call are no chance: less than 1 in 10⁹
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
		switch {
		case x.Begin >= t.end:
		case own && x.ID != 0 || !t.matched:
			t.calls = append(t.calls, x)
		default:
			t.others = append(t.others, x.Begin)
		}
	}
	slices.SortStableFunc(t.calls, func(a, b evidence.Exchange) int { return cmp.Compare(a.Begin, b.Begin) })
	t.behind = exchangesByID(t.calls)
	var latest time.Duration
	for _, x := range t.calls {
		latest = max(latest, x.End)
		t.ends = append(t.ends, latest)
	}
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

// begun returns the calls begun in [from, to).
func (t *traffic) begun(from, to time.Duration) []evidence.Exchange {
	lo := sort.Search(len(t.calls), func(i int) bool { return t.calls[i].Begin >= from })
	hi := sort.Search(len(t.calls), func(i int) bool { return t.calls[i].Begin >= to })
	return t.calls[lo:max(lo, hi)]
}

// called tells whether the arrival made a call; only if matched.
func (t *traffic) called(s load.Sample) bool { return len(t.behind[s.ID]) > 0 }

// rejected tells whether the arrival was answered without a call. Without ids
// that cannot be told of a single one: then every answer counts, and it is for
// the caller to look only where there were no calls at all.
func (t *traffic) rejected(s load.Sample) bool {
	return answered(s) && !(t.matched && t.called(s))
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
	earliest time.Duration // the breaker opened no earlier than this
	latest   time.Duration // and no later than this
}

// silences finds every stretch without calls of at least minimal in which at
// least ten arrivals were answered: more than chance explains, and longer than
// minimal without what the host may have stalled.
//
// A few calls in it of requests that were sent before it are let pass: they
// had been let through before and were held up on their way, by a stalled host
// or a new connection.
//
// The moment of opening lies between the last call that was let through and
// the first that was not. Rejections by something else (a full bulkhead) would
// make it too early: the breaker may then have opened as late as the last
// answer to the calls in flight.
func (t *traffic) silences(minimal time.Duration) []silence {
	var all []silence
	for i := 0; i < len(t.calls); i++ {
		s := silence{from: t.calls[i].Begin, to: t.end, next: i + 1}
		for s.next < len(t.calls) && t.held(t.calls[s.next], s.from) {
			s.next++
		}
		if s.ended = s.next < len(t.calls); s.ended {
			s.to = t.calls[s.next].Begin
		}
		if s.to-s.from-t.run.Noise(s.from, s.to) < max(minimal, minSilence) {
			continue
		}
		for _, sample := range t.sent(s.from, s.to) {
			if t.rejected(sample) {
				s.rejected = append(s.rejected, sample)
			}
		}
		if n := len(s.rejected); n < max(minRejected, t.row) || 20*(s.next-i-1) > n {
			continue
		}
		s.bracket(t, i)
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

// bracket finds between which moments the breaker opened, last being the call
// before the silence.
func (s *silence) bracket(t *traffic, last int) {
	first := s.rejected[0]
	before := t.sent(s.from-time.Second, s.from)
	for i := len(before) - 1; i >= 0 && t.matched && !t.called(before[i]); i-- {
		if t.rejected(before[i]) {
			first = before[i]
		}
	}
	s.first = first
	s.earliest = min(s.from, first.Done)
	s.latest = min(max(s.from, first.Done, min(t.ends[last], s.to)), s.to)
}

// lastTurned is the last request that was surely turned away while no probe was
// on its way: it was answered before the probe's own request was sent (one that
// came in between was turned away because half-open lets no more through), and
// more came after it than chance leaves without a call.
func (s *silence) lastTurned(t *traffic, noise time.Duration) load.Sample {
	before := s.to
	if s.ended && t.matched {
		before = min(before, t.byID[t.calls[s.next].ID].Sent)
	} else if s.ended {
		before -= noise
	}
	turned := []load.Sample{s.first}
	for _, r := range s.rejected {
		if r.Done <= before && r.Sent > s.first.Sent {
			turned = append(turned, r)
		}
	}
	return turned[max(0, len(turned)-1-t.row)]
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

// othersIn tells whether the link saw an exchange in [from, to] that is not the
// route's: it may have been the probe of a breaker that routes share.
func (t *traffic) othersIn(from, to time.Duration) bool {
	return slices.ContainsFunc(t.others, func(at time.Duration) bool { return at >= from && at <= to })
}
