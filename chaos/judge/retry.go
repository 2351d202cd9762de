package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Retry claims that failed calls over Link are retried a bounded number of
// times, and only where a retry is allowed. It tells attempts apart by the
// request id, so the system must pass it on.
//
// What it counts is exact, and does not depend on when a request was due. What
// the caller's HTTP library may have repeated by itself when a reused connection
// broke (see callsOf) is known not to be the policy's where the policy was seen
// to wait before its retries, those of breaks on fresh connections included, as
// those repeats come at once; where it was not, they widen what was counted.
type Retry struct {
	// The link the calls go over, or a list of links to replicas of one dependency.
	Link  Links  `yaml:"link"`
	Route string `yaml:"route"` // The route whose calls count; absent means all.
	// At most so many attempts for one request, the first included; absent is not judged.
	Attempts int `yaml:"attempts"`
	// At least so many attempts, the first included, before a call that may be retried is given up while its caller
	// waits; absent is not judged.
	AtLeast int `yaml:"at_least"`
	// Only these statuses may be retried, besides after network errors and timeouts; absent means 429, 502,
	// 503, 504.
	On []int `yaml:"on"`
	// Statuses that are never retried, each of which the run must have shown; absent means any status not in on, if shown.
	Never []int `yaml:"never"`
	// Allows POST and PATCH to be retried without an Idempotency-Key, or under another one; absent means never.
	Unkeyed bool `yaml:"unkeyed"`
	// Claims that the attempts of a call always carry the same Idempotency-Key and the same body, of which the run must
	// have shown some; absent is judged of POST and PATCH only, see unkeyed.
	SameKey bool `yaml:"same_key"`
	// At most so many calls over the link per request while a fault is in force; absent is not judged.
	Amplification float64 `yaml:"amplification"`
	// At most so many retries, within 5%, as a part of the calls begun while a fault is in force; more calls must
	// fail than that is enough for. Absent is not judged.
	Budget unit.Share `yaml:"budget"`
	// Claims that an attempt never begins once the caller of its request has left and the system can know; absent is not
	// judged.
	Deadline bool `yaml:"deadline"`
}

// What a run must have shown before a retry claim can hold.
const (
	leastFailures = 10 // calls that failed in a way that may be retried
	leastNever    = 5  // answers with each status that must not be
	leastSpent    = 5  // calls that used up their attempts and still failed, to speak of a bound
	leastArrivals = 20 // requests sent in an episode, to speak of calls per request
)

func (c Retry) String() string {
	var parts []string
	add := func(claimed bool, format string, args ...any) {
		if claimed {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(c.Attempts > 0, "at most %d attempts", c.Attempts)
	add(c.AtLeast > 0, "at least %d before a call is given up", c.AtLeast)
	add(true, "only after %s or no answer", list(c.on()))
	add(len(c.Never) > 0, "never after %s", list(c.Never))
	add(!c.Unkeyed, "no POST without a key")
	add(c.SameKey, "under the same key")
	add(c.Amplification > 0, "at most %.3g calls per request", c.Amplification)
	add(c.Budget > 0, "retries at most %s of the calls", c.Budget)
	add(c.Deadline, "none once the caller has left")
	return fmt.Sprintf("retries of %s over %s: %s", orAll(c.Route), c.Link, strings.Join(parts, ", "))
}

func (c Retry) on() []int {
	if len(c.On) > 0 {
		return c.On
	}
	return []int{429, 502, 503, 504}
}

// may reports whether an attempt that came to this may be followed by another.
func (c Retry) may(status int) bool {
	return status == 0 || !slices.Contains(c.Never, status) && slices.Contains(c.on(), status)
}

// retryable reports whether the call may go on after an attempt: it failed so that
// it may be retried, and repeating it is allowed.
func (c Retry) retryable(x *evidence.Exchange) bool {
	return c.failed(x) && (!writes(x) || x.Key != 0 || c.Unkeyed)
}

// failed reports whether an attempt failed in a way that may be retried.
func (c Retry) failed(x *evidence.Exchange) bool {
	return !succeeded(x) && x.Ending != evidence.Cut && c.may(seenStatus(x))
}

// Judge implements Claim.
func (c Retry) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "retry")
	f.over(c.Link...)
	link := c.Link.in(run)
	if link == nil || len(link.Exchanges) == 0 {
		f.open("on", "no call went over %q"+noCalls, c.Link)
		return f.verdict()
	}
	if !hasRoute(run, c.Route) {
		f.open("on", noRoute, c.Route)
		return f.verdict()
	}
	spans := episodes(run, 0, func(i evidence.Injection) bool { return c.Link.onPath(run, i) })
	from, to := reach(run, spans)
	f.rests(from, min(to, horizon(run)), onTimes)
	if !propagates(link) {
		f.open("on", noIDs,
			len(link.Exchanges), c.Link)
		c.amplifyByRate(f, run, link, spans)
		return f.verdict()
	}
	noise := run.Noise(from, to)
	a := attemptedOver(run, link, c.Route, noise)
	if a.anonymous > 0 {
		f.numbers.Add("calls_without_id", float64(a.anonymous))
	}
	if a.mixed > 0 {
		f.numbers.Add("calls_of_repeated_requests", float64(a.mixed))
		f.remark("calls", "%s left out, because the requests behind them came to %s more than once",
			were(a.mixed, "call is", "calls are"), link.From)
	}
	t := c.count(run, a, noise, receiptsOf(run, c.Link, link, noise))
	t.write(&f.numbers, a.all.len())
	c.worthALook(f, t)
	f.show(func() Exhibit { return c.attemptCounts(a.own) })
	if len(a.fanned) > 0 {
		f.open("on", fannedOut,
			len(a.fanned), a.quiet, c.Link)
		return f.verdict()
	}
	c.judgeSuccesses(f, t, a.quiet, noise)
	if len(spans) == 0 && t.retryable == 0 {
		f.open("on", "no fault was in force on %q and no call failed: nothing had to be retried: add an errors fault on it", c.Link)
		return f.verdict()
	}
	c.judgeRetried(f, t)
	c.judgeBounds(f, t)
	c.judgeCauses(f, t)
	c.judgeWrites(f, t)
	c.amplify(f, t, run, a.all, spans)
	if c.Deadline {
		c.judgeLeaving(f, run, a.own, hopsOf(run, a.own, from, to).whole())
	}
	if unfinished(run, c.Link...) {
		f.open("evidence", "the run was cut before its faults on %q were over"+toTheEnd, c.Link)
	}
	return f.verdict()
}

// judgeSuccesses refutes repeats of what had succeeded, whatever is
// claimed. What was repeated after an answer that came as its caller gave up on
// it, or that a fault had spoilt or made up, was repeated after no answer as far
// as the caller goes, and is none of them.
func (c Retry) judgeSuccesses(f *finding, t tally, quiet int, noise time.Duration) {
	if t.unheard > 0 {
		f.remark("on", "%s repeated after or before an answer that came as its caller gave up, or that a fault had spoilt or made up",
			were(t.unheard, "attempt was", "attempts were"))
	}
	n := len(t.afterSuccess)
	if n == 0 {
		return
	}
	m := measure{name: "on", seen: exactly(n), allowed: atMost(0), sample: t.calls, ids: t.afterSuccess}
	m.says = were(n, "call was", "calls were") + " repeated after a success"
	switch {
	case quiet < quietBefore:
		m.seen.Low = 0
		m.settle = fmt.Sprintf("only %d calls without a fault were seen, and it may be the system's normal way: start the faults later",
			quiet)
	case noise > gaveUpUnseen:
		m.seen.Low, m.hidden = 0, noiseText(noise)
		m.settle = fmt.Sprintf("the host stalled for up to %s, and the callers may have given up on the answers that the link passed on: "+
			"a host with cores to spare would tell",
			short(noise))
	}
	f.rule(m)
}

// judgeRetried says how many of the calls that may be retried were. A claim about
// the retries of a system that makes none has shown nothing, unless none is what
// it claims.
func (c Retry) judgeRetried(f *finding, t tally) {
	switch {
	case t.retryable < leastFailures:
		f.open("on", "only %d calls failed in a way that may be retried; at least %d are needed"+moreFail, t.retryable, leastFailures)
	case t.idle() && c.Attempts == 1:
	case t.idle() && t.retried == 0:
		f.open("on", "no call was retried, though %d failed in a way that may be: let callers wait for longer, or say attempts: 1",
			t.retryable)
	case t.idle():
		f.open("on", "hardly any call was retried: %d of %d that failed in a way that may be: let faults last for longer, or say "+
			"attempts: 1", t.retried, t.retryable)
	}
	if t.retryable > 0 {
		f.remark("retried", "%d of %d calls that failed in a way that may be retried were", t.retried+t.doubtful, t.retryable)
	}
}

// reach is the stretch of a run that tells how calls fare under the faults:
// from the first injection to the end of the evidence; all of it if there is
// none.
func reach(run *evidence.Run, spans []span) (from, to time.Duration) {
	if len(spans) > 0 {
		from = spans[0].from
	}
	return from, run.End
}

// list prints numbers: 429, 503.
func list(numbers []int) string {
	return unit.List(numbers, ", ", strconv.Itoa)
}

// were prints a count with the form that fits it.
func were(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// seen prints how often something was.
func seen(n int) string {
	switch n {
	case 0:
		return "never seen"
	case 1:
		return "seen once"
	}
	return fmt.Sprintf("seen %d times", n)
}

// orAll is a route in the words of a claim.
func orAll(route string) string { return cmp.Or(route, allRoutes) }

// named is a route in a sentence, where a name is not to be taken for its words.
func named(route string) string {
	if route == "" {
		return allRoutes
	}
	return strconv.Quote(route)
}

const allRoutes = "all routes"
