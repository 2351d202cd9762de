package judge

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// Retry claims that failed calls over Link are retried a bounded number of
// times, and only where a retry is allowed. It tells attempts apart by the
// request id, so the system must pass it on.
//
// What it counts is exact. One thing is tolerated: a repeat that the caller's
// HTTP library makes by itself when a reused connection breaks (see callsOf).
type Retry struct {
	Link          Links   `yaml:"link"`          // The link the calls go over, or a list of links to replicas of one dependency.
	Route         string  `yaml:"route"`         // Judge only calls caused by this route; absent means all.
	Attempts      int     `yaml:"attempts"`      // Most attempts for one request, the first included; absent is not judged.
	On            []int   `yaml:"on"`            // Statuses that may be retried; absent means 429, 502, 503, 504. Network errors and timeouts always may.
	Never         []int   `yaml:"never"`         // Statuses that must not be retried, each of which the run must have shown; absent means any status not in on.
	Unkeyed       bool    `yaml:"unkeyed"`       // Allows POST and PATCH to be retried without an Idempotency-Key.
	Amplification float64 `yaml:"amplification"` // Most calls over the link per request while a fault is in force; absent is not judged.
}

// What a run must have shown before a retry claim can hold.
const (
	leastFailures = 10 // calls that failed in a way that may be retried
	leastNever    = 5  // answers with each status that must not be
	leastSpent    = 5  // calls that used up their attempts and still failed, to speak of a bound
	leastArrivals = 20 // requests due in an episode, to speak of calls per request
)

// gaveUpUnseen is from what noise of the host on a caller's own timeout may
// have ended its wait for an answer that was on its way: the link saw a
// success, the caller did not.
const gaveUpUnseen = 100 * time.Millisecond

func (c Retry) String() string {
	var parts []string
	if c.Attempts > 0 {
		parts = append(parts, fmt.Sprintf("at most %d attempts", c.Attempts))
	}
	parts = append(parts, fmt.Sprintf("only after %s or no answer", list(c.on())))
	if len(c.Never) > 0 {
		parts = append(parts, "never after "+list(c.Never))
	}
	if !c.Unkeyed {
		parts = append(parts, "no POST without a key")
	}
	if c.Amplification > 0 {
		parts = append(parts, fmt.Sprintf("at most %.3g calls per request", c.Amplification))
	}
	return fmt.Sprintf("retries of %s over %s: %s", orAll(c.Route), c.Link, strings.Join(parts, ", "))
}

func (c Retry) on() []int {
	if len(c.On) > 0 {
		return c.On
	}
	return []int{429, 502, 503, 504}
}

// may tells whether an attempt that came to this may be followed by another.
func (c Retry) may(status int) bool {
	return status == 0 || !slices.Contains(c.Never, status) && slices.Contains(c.on(), status)
}

// Judge implements Claim.
func (c Retry) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "retry")
	link := c.Link.in(run)
	if link == nil || len(link.Exchanges) == 0 {
		f.doubt("no call went over %s", c.Link)
		return f.verdict()
	}
	if _, ok := frontOf(run, c.Route); !ok {
		f.doubt("the run has no route %s", c.Route)
		return f.verdict()
	}
	spans := episodes(run, 0, func(i evidence.Injection) bool { return c.Link.onPath(run, i) })
	from, to := reach(run, spans)
	f.rests(from, min(to, horizon(run)), onDue|onTimes|onLoad)
	if !propagates(link) {
		f.doubt("attempts cannot be told apart: none of %d calls on %s carries a request id. The system must pass on X-Request-Id or traceparent", len(link.Exchanges), c.Link)
		c.amplifyByRate(f, run, link, spans)
		return f.verdict()
	}
	noise := run.Noise(from, to)
	calls, anonymous := callsOf(run, link, c.Route, noise)
	if anonymous > 0 {
		f.numbers.Add("calls_without_id", float64(anonymous))
	}
	own, mixed := ofOne(run, link, calls)
	if mixed > 0 {
		f.numbers.Add("calls_of_repeated_requests", float64(mixed))
		f.note("%s left out, because the requests behind them came to %s more than once", were(mixed, "call is", "calls are"), link.From)
	}
	tally := c.count(own, noise, hearingOf(run, c.Link, link, noise))
	f.numbers.Add("calls", float64(len(calls)))
	f.numbers.Add("calls_failed_retryably", float64(tally.retryable))
	f.numbers.Add("calls_retried", float64(tally.retried))
	f.numbers.Add("attempts_max", float64(tally.most))
	f.numbers.Add("hidden_repeats", float64(tally.hidden))

	if quiet, fanned := fanout(own, firstInjection(run)); len(fanned) > 0 {
		f.doubt("attempts cannot be told apart: %d of %d requests made several calls over %s for the same path even when nothing failed; name a route that makes one", len(fanned), quiet, c.Link)
		return f.verdict()
	} else if len(tally.afterSuccess) > 0 && quiet < quietBefore {
		f.doubt("%d calls were repeated after a success, but only %d calls without a fault were seen: that may be the system's normal way; start the faults later", len(tally.afterSuccess), quiet)
	} else if len(tally.afterSuccess) > 0 && noise > gaveUpUnseen {
		f.doubt("%s repeated after a success, but the host stalled for up to %s: the callers may have given up on the answers that the link passed on", were(len(tally.afterSuccess), "call was", "calls were"), short(noise))
	} else if len(tally.afterSuccess) > 0 {
		f.refute(tally.afterSuccess, "%s repeated after a success", were(len(tally.afterSuccess), "call was", "calls were"))
	}
	if tally.unheard > 0 {
		f.note("%s repeated after or before an answer that came as its caller gave up, or that a fault had spoilt or made up", were(tally.unheard, "attempt was", "attempts were"))
	}
	if len(spans) == 0 && tally.retryable == 0 && !f.refuted() {
		f.doubt("no fault was in force on %s and no call failed: nothing had to be retried", c.Link)
		return f.verdict()
	}
	switch {
	case tally.retryable < leastFailures:
		f.doubt("only %d calls failed in a way that may be retried; at least %d are needed", tally.retryable, leastFailures)
	case tally.idle() && tally.retried == 0:
		f.doubt("no call was retried, though %d failed in a way that may be", tally.retryable)
	case tally.idle():
		f.doubt("hardly any call was retried: %d of %d that failed in a way that may be", tally.retried, tally.retryable)
	default:
		f.note("%d of %d calls that failed in a way that may be retried were", tally.retried+tally.doubtful, tally.retryable)
	}
	c.judgeBound(f, tally)
	c.judgeCauses(f, tally)
	c.judgeWrites(f, tally)
	c.amplify(f, run, calls, spans)
	if unfinished(run, c.Link...) {
		f.doubt("the run was cut before its faults on %s were over", c.Link)
	}
	return f.verdict()
}

// tally is what the calls of a link came to.
type tally struct {
	most          int // most attempts of one call, hidden repeats left out
	hidden        int
	over          []uint64 // calls with more attempts than allowed
	spent         int      // calls whose last allowed attempt failed too: only they show that there is a bound
	retryable     int      // calls of which an attempt failed in a way that may be retried
	retried       int      // of them, those that were
	doubtful      int      // of them, those that the HTTP library may have repeated by itself
	answers       map[int]int
	wrong         map[int][]uint64 // calls retried after a status that must not be, by status
	unsure        map[int]int      // those that may have been retried because their caller had no answer by then, by status
	afterSuccess  []uint64
	unheard       int      // attempts that were repeated after a success that their caller may not have had
	writes        int      // calls of POST or PATCH without a key that failed in a way that may be retried otherwise
	writesWrong   []uint64 // of them, those repeated
	keyed         int      // calls of POST or PATCH that were repeated under their key
	keyChanged    []uint64
	payloadChange []uint64
}

// idle tells whether nothing shows that the system retries at all. A few
// repeats may be the HTTP library's, late on a busy host.
func (t tally) idle() bool { return 20*t.retried < t.retryable && 10*t.doubtful < t.retryable }

// count looks at every attempt of every call, and at each pair of attempts.
func (c Retry) count(calls []call, noise time.Duration, heard hearing) tally {
	t := tally{answers: make(map[int]int), wrong: make(map[int][]uint64), unsure: make(map[int]int)}
	for _, call := range calls {
		t.hidden += call.hidden
		t.most = max(t.most, len(call.attempts))
		retryable, retried, doubtful, again, keyed := false, false, false, false, false
		library := 0 // one repeat in the row may be the HTTP library's even on a connection that looks fresh
		for i, x := range call.attempts {
			status := came(x)
			if status > 0 {
				t.answers[status]++
			}
			if !succeeded(x) && x.Ending != evidence.Cut && c.may(status) {
				retryable = true
			}
			if i+1 == len(call.attempts) {
				if i+1 >= c.Attempts && !succeeded(x) && x.Ending != evidence.Cut && c.may(status) && (!writes(x) || x.Key != 0 || c.Unkeyed) {
					t.spent++
				}
				break
			}
			next := call.attempts[i+1]
			atOnce := snapped(x) && next.Begin-x.End <= 2*noise
			if atOnce {
				library = 1
			}
			switch {
			case succeeded(x) && (next.Begin < x.End || heard.unsure(x)):
				t.unheard++
				continue
			case succeeded(x):
				t.afterSuccess = append(t.afterSuccess, call.id)
				continue
			case !c.may(status) && !heard.surely(x, next.Begin):
				t.unsure[status]++
				continue
			case !c.may(status):
				t.wrong[status] = append(t.wrong[status], call.id)
			case atOnce:
				doubtful = true
			default:
				retried = true
			}
			if !writes(x) {
				continue
			}
			switch {
			case x.Key == 0 && next.Key == 0:
				again = true
			case x.Key != next.Key:
				t.keyChanged = append(t.keyChanged, call.id)
			case came(x) > 0 && came(next) > 0 && x.Payload != next.Payload: // a broken attempt's body may not have been read whole
				t.payloadChange = append(t.payloadChange, call.id)
			default:
				keyed = true
			}
		}
		if c.Attempts > 0 && len(call.attempts) > c.Attempts+library {
			t.over = append(t.over, call.id)
		}
		if retryable {
			t.retryable++
		}
		if retried {
			t.retried++
		} else if doubtful {
			t.doubtful++
		}
		if keyed {
			t.keyed++
		}
		if x := call.attempts[0]; writes(x) && x.Key == 0 && retryable {
			t.writes++
		}
		if again {
			t.writesWrong = append(t.writesWrong, call.id)
		}
	}
	return t
}

func (c Retry) judgeBound(f *finding, t tally) {
	switch {
	case c.Attempts <= 0:
	case len(t.over) > 0:
		f.numbers.Add("calls_over_bound", float64(len(t.over)))
		f.refute(t.over, "%s more than %d attempts, up to %d", were(len(t.over), "call made", "calls made"), c.Attempts, t.most)
	case t.idle(): // said already
	case t.spent < leastSpent:
		f.doubt("the bound of %d attempts was hardly put to the test: %s that often; longer faults would show it", c.Attempts, were(t.spent, "call failed", "calls failed"))
	default:
		f.note("no call made more than %d attempts, though %d failed that often", t.most, t.spent)
	}
}

func (c Retry) judgeCauses(f *finding, t tally) {
	for _, status := range slices.Sorted(maps.Keys(t.wrong)) {
		ids := slices.Compact(slices.Clone(t.wrong[status]))
		f.numbers.Add(fmt.Sprintf("retried_after_%d", status), float64(len(ids)))
		f.refute(ids, "%s retried after %d, of %d such answers", were(len(ids), "call was", "calls were"), status, t.answers[status])
	}
	for _, status := range slices.Sorted(maps.Keys(t.unsure)) {
		n := t.unsure[status]
		f.numbers.Add(fmt.Sprintf("retried_after_%d_unsure", status), float64(n))
		if len(t.wrong[status]) == 0 {
			f.doubt("%s retried after %d, but the host kept processes from running so long that the callers may have given up on these answers before", were(n, "call was", "calls were"), status)
		}
	}
	var missing, stood []string
	for _, status := range c.Never {
		f.numbers.Add(fmt.Sprintf("answers_%d", status), float64(t.answers[status]))
		if n := t.answers[status]; n < leastNever {
			missing = append(missing, fmt.Sprintf("%d (%s)", status, seen(n)))
		} else if len(t.wrong[status])+t.unsure[status] == 0 {
			stood = append(stood, fmt.Sprintf("%d (%s)", status, seen(n)))
		}
	}
	if len(stood) > 0 {
		f.note("none was retried after %s", strings.Join(stood, ", "))
	}
	if len(missing) > 0 && !f.refuted() {
		f.doubt("the link hardly ever answered %s: each status in never must be seen at least %d times", strings.Join(missing, ", "), leastNever)
	}
}

func (c Retry) judgeWrites(f *finding, t tally) {
	f.numbers.Add("unkeyed_writes_failed", float64(t.writes))
	f.numbers.Add("unkeyed_writes_repeated", float64(len(t.writesWrong)))
	if !c.Unkeyed {
		if n := len(t.writesWrong); n > 0 {
			f.refute(t.writesWrong, "%d of %d failed POST or PATCH calls without an Idempotency-Key were repeated", n, max(n, t.writes))
		} else if t.writes > 0 {
			f.note("0 of %d failed POST or PATCH calls without an Idempotency-Key were repeated", t.writes)
		}
	}
	if n := len(t.keyChanged); n > 0 {
		f.refute(t.keyChanged, "%s repeated under another Idempotency-Key", were(n, "POST or PATCH call was", "POST or PATCH calls were"))
	}
	if n := len(t.payloadChange); n > 0 {
		f.refute(t.payloadChange, "%s repeated under the same Idempotency-Key with another body", were(n, "POST or PATCH call was", "POST or PATCH calls were"))
	}
	if t.keyed > 0 {
		f.numbers.Add("keyed_writes_repeated", float64(t.keyed))
	}
}

// amplify judges calls per request over the requests due while a fault was in
// force, each with all its attempts, whenever they came: so nothing is lost at
// the edges.
func (c Retry) amplify(f *finding, run *evidence.Run, calls []call, spans []span) {
	if c.Amplification <= 0 {
		return
	}
	exchanges := make(map[uint64]int, len(calls)) // by request
	uses := make(map[int]bool)                    // routes whose requests call over the link
	front := sampleByID(run.Front)
	for _, call := range calls {
		exchanges[call.id] += len(call.attempts)
		if s, ok := front[call.id]; ok {
			uses[s.Route] = true
		}
	}
	worst, judged := 0.0, false
	var worstIDs []uint64
	for _, s := range spans {
		requests, total := 0, 0
		var ids []uint64
		for _, sample := range due(run.Front, s.from, s.to) {
			if !uses[sample.Route] || sample.Outcome == load.Unsent {
				continue
			}
			requests++
			total += exchanges[sample.ID]
			if float64(exchanges[sample.ID]) > c.Amplification {
				ids = append(ids, sample.ID)
			}
		}
		if requests < leastArrivals {
			continue
		}
		judged = true
		if ratio := float64(total) / float64(requests); ratio > worst {
			worst, worstIDs = ratio, ids
		}
	}
	if !judged {
		f.doubt("fewer than %d requests came while a fault was in force on %s: calls per request cannot be told", leastArrivals, c.Link)
		return
	}
	f.numbers.Add("amplification", worst)
	if worst > c.Amplification*(1+1e-9) {
		f.refute(worstIDs, "%.2f calls per request while the fault was in force, more than %.3g", worst, c.Amplification)
		return
	}
	f.note("at most %.2f calls per request while a fault was in force (bound %.3g)", worst, c.Amplification)
}

// amplifyByRate judges calls per request without ids, by rates. Retries of
// earlier requests at one edge stand for those that are missing at the other,
// which is only roughly right: a tenth above the bound stays open.
func (c Retry) amplifyByRate(f *finding, run *evidence.Run, link *evidence.Link, spans []span) {
	if c.Amplification <= 0 || c.Route != "" && len(run.Routes) > 1 {
		return
	}
	worst := 0.0
	for _, s := range spans {
		if requests := len(due(run.Front, s.from, s.to)); requests >= 10*leastArrivals {
			worst = max(worst, float64(len(link.Window(s.from, s.to)))/float64(requests))
		}
	}
	if worst == 0 {
		return
	}
	f.numbers.Add("amplification", worst)
	if worst > 1.1*c.Amplification {
		f.refute(nil, "about %.2f calls per request while the fault was in force, more than %.3g", worst, c.Amplification)
		return
	}
	f.note("about %.2f calls per request while a fault was in force (bound %.3g)", worst, c.Amplification)
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
	words := make([]string, len(numbers))
	for i, n := range numbers {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ", ")
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

func orAll(route string) string {
	if route == "" {
		return "all routes"
	}
	return route
}
