package judge

import (
	"fmt"
	"time"
)

// judgeUnopened rules on an episode without a silence: the breaker never
// opened, or it did and calls went on all the same.
func (b Breaker) judgeUnopened(f *finding, t *traffic, c course) {
	due := c.cutoff + 1
	var rule string
	if b.OpensWithin > 0 {
		due, rule = c.from+b.OpensWithin, fmt.Sprintf("the %s in which it should have opened", short(b.OpensWithin))
	}
	if b.Failures > 0 && c.tripped >= 0 && !c.mixed && c.tripped < due {
		due, rule = c.tripped, fmt.Sprintf("%d calls had failed", b.Failures)
	}
	due += 2 * c.noise
	after := c.begunAfter(t, due)
	f.numbers.Add("failed_calls", float64(len(c.failures)))
	f.numbers.Add("calls_after_due", float64(len(after)))
	switch {
	case b.OpensWithin == 0 && b.Failures == 0:
		f.doubt("it was not seen to open while %d calls failed in %s, but the claim says neither after how many failures nor within what time it opens", len(c.failures), short(c.length()))
		return
	case rule == "" && c.mixed:
		f.doubt("it was not seen to open, but calls also succeeded under the fault: give opens_within, or let the fault take every call")
		return
	case len(after) < leastTooMany:
		f.doubt("the fault was over too soon to see it open: only %s begun after it was due to be open", were(len(after), "call was", "calls were"))
		return
	}
	rejected, early := b.meanwhile(t, due, c.cutoff)
	f.numbers.Add("rejected", float64(rejected))
	f.numbers.Add("answered_without_waiting", float64(early))
	switch partly := rejected >= minRejected && rejected*20 >= len(after); {
	case partly && b.Waits == 0:
		f.doubt("%d calls reached %s after %s while %d requests were rejected: say how long it waits, so that open can be told from rejecting a part", len(after), b.Link, rule, rejected)
	case partly:
		f.refute(after, "kept calling while open: %d calls reached %s after %s, although %d requests were rejected meanwhile", len(after), b.Link, rule, rejected)
	case 2*early >= len(after):
		f.refute(after, "kept calling while open: %d calls reached %s after %s, though %d of their callers were answered without waiting for them", len(after), b.Link, rule, early)
	default:
		f.refute(after, "never opened: %d calls failed in %s, and %d still reached %s after %s", len(c.failures), short(c.length()), len(after), b.Link, rule)
	}
}

// meanwhile counts, among the requests sent in [from, to), those rejected, and
// those answered before their call was over.
func (b Breaker) meanwhile(t *traffic, from, to time.Duration) (rejected, early int) {
	if !t.matched {
		return 0, 0
	}
	for _, s := range t.sent(from, to) {
		if !answered(s) {
			continue
		}
		xs := t.behind[s.ID]
		if len(xs) == 0 {
			rejected++
		} else if last := xs[len(xs)-1]; s.Done < last.End && s.ServiceTime() < last.Duration()/2 {
			early++
		}
	}
	return rejected, early
}

// judgeOpening rules on when it opened.
func (b Breaker) judgeOpening(f *finding, courses []course, t *traffic) {
	var slowest, loosest course
	for i, c := range courses {
		if c.already {
			continue
		}
		if i == 0 || slowest.silences == nil || c.cutoff-c.from > slowest.cutoff-slowest.from {
			slowest = c
		}
		if loosest.silences == nil || len(b.tooLate(t, c)) > len(b.tooLate(t, loosest)) {
			loosest = c
		}
	}
	if slowest.silences == nil {
		f.doubt("it was open already when the fault was injected, so that it was not seen to open")
		return
	}
	after := max(0, slowest.cutoff-slowest.from)
	failures := slowest.failuresAtOpening()
	f.numbers.AddTime("opened_after", after)
	f.numbers.Add("failures_before_open", float64(failures))
	ruling := Held
	if b.OpensWithin > 0 {
		slowest.noise = max(slowest.noise, t.run.Behind(slowest.from, slowest.cutoff))
		ruling = bound(after, b.OpensWithin, slowest.noise)
	}
	what := fmt.Sprintf("opened %s after the fault after %s", short(after), were(failures, "failure", "failures"))
	if ruling != Held {
		what += fmt.Sprintf(", bound %s, noise %s", short(b.OpensWithin), short(slowest.noise))
	}
	f.part(ruling, slowest.begunAfter(t, slowest.from+b.OpensWithin), "%s", what)
	if b.Failures == 0 || loosest.silences == nil {
		return
	}
	late := b.tooLate(t, loosest)
	f.numbers.Add("calls_begun_too_late", float64(len(late)))
	switch {
	case len(late) >= leastLate && !loosest.mixed:
		f.refute(late, "opened late: %s, sent and begun when the system knew of failure %d; %d had failed when it opened at last", were(len(late), "call went on", "calls went on"), b.Failures, loosest.failuresAtOpening())
	case len(late) > 0:
		f.doubt("%s after failure %d: too few to rule on, or calls also succeeded under the fault", were(len(late), "call went on", "calls went on"), b.Failures)
	}
}

// tooLate lists the calls of requests that were sent when the system already
// knew of the failure after which it had to open. Breakers that count beside
// the path of the calls, like hystrix-go's, get the time of a timer's slack, and
// those on a host that others use too get that of a turn.
func (b Breaker) tooLate(t *traffic, c course) []uint64 {
	if c.learned < 0 {
		return nil
	}
	return c.begunAfter(t, c.learned+t.run.Turn(c.learned, c.cutoff))
}
