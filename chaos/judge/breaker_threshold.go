package judge

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// What a failure is to a breaker: a request that failed in the end, or each of
// its attempts. They index observed.outcomes.
const (
	perRequest = iota
	perAttempt
)

// threshold is after how many failures the breaker opens: at least Low and at
// most High. It is a setting and so the same at each opening, and what they say
// together is what all of them leave.
//
// For every request that was let through the breaker was closed when it decided,
// which was not before the request was sent: it needs more failures in a row than
// it surely knew of then. For a request that was turned away it was open by the
// time that one was answered: it needs no more failures than it may have known of
// by then. Where successes come between failures, the first counts those in a
// row and the second all since it was last seen to close, because breakers that
// count in a window do not begin anew at a success.
//
// The two are one figure where failures come one by one. Slow ones are many at a
// time: then some more are known before the next request can tell.
type threshold struct {
	seen     Interval
	openings int
	repeated bool // some requests had several attempts
	agree    bool // what the openings say does not contradict
}

// thresholdOf measures it, counting by request or by attempt.
func thresholdOf(t *traffic, o *observed, traces []episodeTrace, reading, instances int) threshold {
	th := threshold{seen: anything(), agree: true}
	th.seen.Low = 1
	for _, c := range traces {
		if c.already {
			continue
		}
		one := anything()
		admitted := t.index(c.until())
		if c.seen() {
			admitted = c.opening.admitted
		}
		one.Low = 1 + float64(inRow(o.outcomes[reading], t.admissions(c, admitted), c.base, t.settles(c.from, c.until())))
		if instances > 1 {
			one.Low = max(1, one.Low-float64((instances-1)*o.most))
		}
		if c.seen() {
			th.openings++
			one.High = float64(timesBy(o.bad[reading], c.base, c.opening.surely) + timesBy(o.strangers, c.base, c.opening.surely))
			one.High = max(one.High, 1)
		}
		th.repeated = th.repeated || t.repeats(c.from-time.Second, c.until())
		one.Low, one.High = min(one.Low, one.High), max(one.Low, one.High)
		both, ok := th.seen.and(one)
		if th.agree = th.agree && ok; !ok {
			both = th.seen.or(one)
		}
		th.seen = both
	}
	return th
}

// admissions are the earliest moments at which requests of an episode may have
// been let through, in order: of those sent before it opened.
func (t *traffic) admissions(c episodeTrace, sent int) iter.Seq[time.Duration] {
	if !t.matched {
		var at []time.Duration
		for _, x := range t.begun(c.base, c.until()).all() {
			if !c.seen() || x.Begin <= c.opening.notYet {
				at = append(at, x.Begin-t.run.Noise(x.Begin, x.Begin))
			}
		}
		slices.Sort(at)
		return slices.Values(at)
	}
	return func(yield func(time.Duration) bool) {
		for _, s := range t.requests.part(min(t.index(c.base), sent), sent).all() {
			if t.called(s) && !yield(s.Sent) {
				return
			}
		}
	}
}

// settles is how long it may take from when a caller has its answer until the
// breaker counts it. Those that count beside the path of the calls, like
// hystrix-go's, need a turn of the processor for that: next to nothing where the
// system has the host to itself, more where others use it.
func (t *traffic) settles(from, to time.Duration) time.Duration {
	if turn := t.run.Turn(from, to); turn > evidence.LeastNoise {
		return turn
	}
	return time.Millisecond
}

// threshold is that of the claim's reading; without one, what either may be.
func (b Breaker) threshold(t *traffic, o *observed, traces []episodeTrace) threshold {
	byAttempt := thresholdOf(t, o, traces, perAttempt, b.instances())
	if b.Counts == "attempt" || !byAttempt.repeated {
		return byAttempt
	}
	byRequest := thresholdOf(t, o, traces, perRequest, b.instances())
	if b.Counts == "" {
		byRequest.seen = byRequest.seen.or(byAttempt.seen)
	}
	return byRequest
}

// judgeFailures rules on after how many failures it opened.
func (b Breaker) judgeFailures(f *finding, t *traffic, traces []episodeTrace, th threshold) {
	f.numbers.Add("failures_before_open", th.seen.Low)
	allowed := atMost(b.Failures)
	m := measure{name: "failures", seen: b.ofEach(th.seen), allowed: allowed, sample: th.openings,
		says: b.opened(t, traces, th), note: b.Failures == 0}
	if m.note {
		if th.seen.Low > 1 || th.openings > 0 {
			f.remark(m.name, "%s", m.says)
		}
		return
	}
	failing := 0
	for _, c := range traces {
		failing += c.failed
		if !c.already {
			m.ids = append(m.ids, t.tooLate(c, b.Failures)...)
		}
	}
	if failing == 0 {
		f.open(m.name, "%s", b.idle(traces))
		return
	}
	switch {
	case b.instances() > 1 && th.seen.against(allowed) != Held:
		m.settle = aLinkForEach
	case th.openings == 0 && th.seen.against(allowed) != Refuted:
		m.settle = "let more calls fail before the fault is healed"
	case th.repeated && b.Counts == "":
		m.settle = "requests were tried again, so say counts: request or counts: attempt"
	case !th.agree:
		m.settle = "its openings contradict each other, so that it is not one number of failures in a row: " +
			"say failure_rate, where it counts in a window"
	default:
		m.settle = "let calls fail one by one: with errors and no latency, and with fewer requests per second than calls take"
		m.hidden = "calls that were in progress when it opened"
	}
	f.rule(m)
}

// ofEach is what a count of all instances together says of each: as much as an even
// share of it at least, for one of them has that, and all of it at most, for who
// has how much is not seen. How many there are is declared and not seen either.
func (b Breaker) ofEach(all Interval) Interval {
	if n := b.instances(); n > 1 {
		all.Low = math.Ceil(all.Low / float64(n))
	}
	return all
}

// aLinkForEach is the next step where several instances hide what each does.
const aLinkForEach = "which instance made which call is not seen behind one link: a link for each instance would tell"

// opened is the clause for after how many failures it opened.
func (b Breaker) opened(t *traffic, traces []episodeTrace, th threshold) string {
	if th.openings > 0 {
		clause := "opened after " + counted.span(th.seen) + " failures"
		if th.seen.High == 1 {
			clause = "opened after 1 failure"
		}
		if n := b.instances(); n > 1 {
			clause += fmt.Sprintf(" of %d instances together", n)
		}
		return clause
	}
	known := were(int(th.seen.Low)-1, "failure", "failures")
	calls, early := 0, 0
	for _, c := range traces {
		for _, s := range t.sent(c.from, c.until()).all() {
			if xs := t.made(s.ID); answered(s) && len(xs) > 0 {
				calls++
				if last := &t.link.Exchanges[xs[len(xs)-1]]; s.Done < last.End && s.ServiceTime() < last.Duration()/2 {
					early++
				}
			}
		}
	}
	if 2*early >= max(calls, 1) {
		return fmt.Sprintf("kept calling while open: calls reached %q when %s in a row were known, "+
			"though %d of %d callers were answered without waiting for them", b.Link, known, early, calls)
	}
	return fmt.Sprintf("never opened: calls reached %q when %s in a row were known", b.Link, known)
}

// tooLate lists the requests that were let through when more than so many
// failures of the episode were known.
func (t *traffic) tooLate(c episodeTrace, failures int) []uint64 {
	var ids []uint64
	known := 0
	for _, s := range t.sent(c.from, c.until()).all() {
		if t.called(s) {
			if known++; known > failures {
				ids = append(ids, s.ID)
			}
		}
		if len(ids) == MaxIDs {
			break
		}
	}
	return ids
}
