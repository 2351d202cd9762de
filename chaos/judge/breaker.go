package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// Breaker claims that a circuit breaker protects the calls that Route makes
// over Link: it opens when they fail, lets none through while open, waits,
// probes, and closes once they succeed. What is absent is not judged, except
// that a breaker that waits is claimed to probe with one call.
//
// Open is seen from both sides: the route's arrivals are answered while no
// call of theirs reaches the link. A fast failure alone proves nothing, a gap
// in the calls alone neither. It has held only if it was seen open and seen to
// probe; one that nobody saw open is refuted if enough calls failed for long
// enough, and otherwise the run has shown nothing.
//
//	calls  ||||||||·····················|·····················|·····|||||||||
//	fault    [——— injected ———————————————————————————— healed]
//	         └ opens ┘└────── waits ─────┘└ probe fails,       └ probe succeeds,
//	                    callers rejected     open again           closed again
//
// Where the moment of opening is uncertain, each bound is held against the
// moment that is kinder to the system. Calls already in flight when it had to
// open are free: they are the ones that began before. How many calls half-open
// lets through shows only while a probe takes time: a fault that fails at once
// (errors alone) leaves that open, the same with latency tells.
type Breaker struct {
	Link          string        `yaml:"link"`           // The link the protected calls go over.
	Route         string        `yaml:"route"`          // The route that causes them.
	Failures      int           `yaml:"failures"`       // Failed calls after which it opens; those already in flight then are not counted against it.
	OpensWithin   time.Duration `yaml:"opens_within"`   // From the injection to the last call before it opened.
	Waits         time.Duration `yaml:"waits"`          // How long it stays open before a probe.
	WaitsAtMost   time.Duration `yaml:"waits_at_most"`  // The same at most, for breakers that wait by a coarse clock or by chance; absent means waits.
	Probes        int           `yaml:"probes"`         // Most calls let through before the first probe's result is known; absent means 1 with waits, and is not judged without: a system that health-checks has no half-open.
	RejectsWithin time.Duration `yaml:"rejects_within"` // 99th percentile of the response time of rejected calls.
	ClosesWithin  time.Duration `yaml:"closes_within"`  // From the healing until calls flow again; it includes what is left of the wait.
	Ignores       []int         `yaml:"ignores"`        // Statuses that must not open it, like 404: those of the caller's own making.
}

// What a run must have shown before a breaker is ruled on.
const (
	leastFailing = 10 // calls that failed, to say that it should have opened; twice Failures if that is more
	leastTooMany = 10 // calls made although it should have been open, to say that it never opened
	leastLate    = 3  // calls begun after the failure that had to open it, to say that it opened late
	leastTurned  = 3  // requests rejected while probes were on their way, to say that no more were let through
	leastIgnored = 5  // answers with each status to be ignored; together at least as many as leastFailing asks
)

func (b Breaker) String() string {
	parts := []string{}
	add := func(given bool, format string, args ...any) {
		if given {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(b.Failures > 0, "opens after %s", were(b.Failures, "failure", "failures"))
	add(b.OpensWithin > 0, "opens within %s", b.OpensWithin)
	add(b.Waits > 0 && b.WaitsAtMost == 0, "waits %s", b.Waits)
	add(b.Waits > 0 && b.WaitsAtMost > 0, "waits %s to %s", b.Waits, b.WaitsAtMost)
	add(b.halfOpen(), "lets %s through", were(b.probes(), "probe", "probes"))
	add(b.RejectsWithin > 0, "rejects within %s", b.RejectsWithin)
	add(b.ClosesWithin > 0, "closes within %s", b.ClosesWithin)
	add(len(b.Ignores) > 0, "ignores %s", list(b.Ignores))
	add(len(parts) == 0, "opens")
	return fmt.Sprintf("breaker of %s over %s: %s", orAll(b.Route), b.Link, strings.Join(parts, ", "))
}

// halfOpen tells whether anything is claimed of the half-open state.
func (b Breaker) halfOpen() bool { return b.Probes > 0 || b.Waits > 0 }

// longest is how long it may stay open while it is asked.
func (b Breaker) longest() time.Duration { return max(b.Waits, b.WaitsAtMost) }

func (b Breaker) probes() int { return max(b.Probes, 1) }

// Judge implements Claim.
func (b Breaker) Judge(run *evidence.Run) Verdict {
	f := find(b, "breaker")
	t, why := trafficOf(run, b.Link, b.Route)
	if why != "" {
		f.doubt("%s", why)
		return f.verdict()
	}
	if b.Waits > 0 && t.rate*t.flow*b.Waits.Seconds() < 20 {
		f.doubt("%.3g requests/s are too few to tell an open breaker from chance within its wait of %s: offer at least %.0f/s", t.rate, short(b.Waits), 20/t.flow/b.Waits.Seconds()+1)
		return f.verdict()
	}
	silences := t.silences(b.Waits / 2)
	courses := b.courses(t, silences)
	if len(courses) > 0 {
		from, to := courses[0].from, min(courses[len(courses)-1].over(), t.end)
		f.distrust(illness(run, from-time.Second, to))
		if noise, most := run.Noise(from, to), b.stall(); noise > most {
			f.distrust(fmt.Sprintf("the host stalled for up to %s: more than the %s in which an open breaker can still be told from it", short(noise), short(most)))
		}
	}
	b.judgeCourses(f, t, courses)
	if len(b.Ignores) > 0 {
		b.judgeIgnored(f, t, silences, courses)
	}
	if !t.matched {
		f.note("request ids do not reach %s, so that this rests on rates: every call there counts as the route's", b.Link)
	}
	return f.verdict()
}

// stall is how long the host may stall: a silence must be longer than half of
// the wait without it, so at half of the wait an open breaker is not seen.
func (b Breaker) stall() time.Duration {
	if b.Waits == 0 {
		return 250 * time.Millisecond
	}
	return b.Waits / 4
}

// courses follows the breaker through each episode of faults that make calls
// fail. Episodes closer together than its wait are one to it.
func (b Breaker) courses(t *traffic, silences []silence) []course {
	spans := episodes(t.run, b.Waits, func(i evidence.Injection) bool { return onPath(t.link, i) && b.breaks(i) })
	courses := make([]course, len(spans))
	for i, e := range spans {
		limit := t.end
		if i+1 < len(spans) {
			limit = spans[i+1].from
		}
		courses[i] = courseOf(t, e, limit, silences, b.Failures)
	}
	return courses
}

// breaks tells whether a fault must open the breaker, and ignored whether it
// must not. A fault with client errors that are not declared as ignored is
// neither: what it should do is not claimed.
func (b Breaker) breaks(f evidence.Injection) bool {
	if f.Kind != "errors" {
		return true
	}
	return slices.ContainsFunc(f.Statuses, func(s int) bool { return s >= 500 && !slices.Contains(b.Ignores, s) })
}

func (b Breaker) ignored(f evidence.Injection) bool {
	return f.Kind == "errors" && len(f.Statuses) > 0 &&
		!slices.ContainsFunc(f.Statuses, func(s int) bool { return !slices.Contains(b.Ignores, s) })
}

// judgeCourses rules on what happened in the episodes. One in which nothing
// failed says nothing, and spoils nothing if another says something.
func (b Breaker) judgeCourses(f *finding, t *traffic, courses []course) {
	if len(courses) == 0 {
		f.doubt("no fault that makes calls fail was in force on %s: nothing was asked of the breaker", b.Link)
		return
	}
	opened := slices.DeleteFunc(slices.Clone(courses), func(c course) bool { return !c.opened() })
	for _, c := range courses {
		if c.opened() {
			continue
		}
		if why := b.idle(c); why == "" {
			b.judgeUnopened(f, t, c)
		} else if len(opened) == 0 {
			f.doubt("%s", why)
		}
	}
	if len(opened) == 0 {
		return
	}
	b.judgeOpening(f, opened, t)
	b.judgeWaits(f, opened, t)
	b.judgeProbes(f, opened, t)
	b.judgeRejects(f, opened, t)
	b.judgeClosing(f, opened, t)
}

// needed is how many calls must fail before anything is asked of the breaker.
func (b Breaker) needed() int { return max(leastFailing, 2*b.Failures) }

// idle says why an episode asked nothing of the breaker; "" if it did.
func (b Breaker) idle(c course) string {
	switch {
	case c.touched == 0:
		return fmt.Sprintf("the fault on %s hit no call", b.Link)
	case len(c.failures) == 0:
		return fmt.Sprintf("the fault on %s hit %d calls but none of them failed", b.Link, c.touched)
	case len(c.failures) < b.needed():
		return fmt.Sprintf("only %s while the fault was in force, and the breaker was not seen to open; at least %d are needed to say that it should have", were(len(c.failures), "call failed", "calls failed"), b.needed())
	}
	return ""
}

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
		if c.tripped >= 0 && (loosest.silences == nil || len(c.begunAfter(t, c.tripped)) > len(loosest.begunAfter(t, loosest.tripped))) {
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
	late := loosest.begunAfter(t, loosest.tripped+loosest.noise)
	surely := loosest.begunAfter(t, loosest.tripped+2*loosest.noise)
	f.numbers.Add("calls_begun_too_late", float64(len(late)))
	switch {
	case len(surely) >= leastLate && !loosest.mixed:
		f.refute(late, "opened late: %s more than %s after failure %d, and %d had failed when it opened at last", were(len(late), "call began", "calls began"), short(loosest.noise), b.Failures, loosest.failuresAtOpening())
	case len(late) > 0:
		f.doubt("%s after failure %d, by little more than the noise of %s, or while other calls succeeded", were(len(late), "call began", "calls began"), b.Failures, short(loosest.noise))
	}
}

// judgeWaits rules on how long it stayed open, at each opening, and that
// nothing passed in that time.
func (b Breaker) judgeWaits(f *finding, courses []course, t *traffic) {
	var rejected, reopened, probed int
	var early, relapsed, stuck []uint64 // calls before the wait was over, the same after a failed probe, requests rejected after it was over
	shortest, longest := time.Duration(-1), time.Duration(-1)
	soon, late := Held, Held
	for _, c := range courses {
		for i, s := range c.silences {
			rejected += len(s.rejected)
			reopened += min(i, 1)
			opening := s.earliest
			if i == 0 && c.tripped >= c.from {
				opening = min(opening, c.tripped)
			}
			noise := t.slack(opening, s.to)
			if s.ended {
				probed++
				waited := s.to - opening
				if shortest < 0 || waited < shortest {
					shortest = waited
				}
				if r := bound(b.Waits-waited, noise, noise); b.Waits > 0 && r != Held {
					soon = max(soon, r)
					for _, x := range t.begun(s.to, opening+b.Waits-noise) {
						early = append(early, x.ID)
					}
				}
			}
			if b.Waits == 0 {
				continue
			}
			if p, ok := probingAfter(t, s); ok {
				relapsed = append(relapsed, p.relapse(t, b.Waits, 2*t.slack(p.result, p.result+b.Waits), b.probes())...)
			}
			if !t.othersIn(opening+b.longest()-noise, s.to) {
				last := s.lastTurned(t, noise)
				if r := bound(last.Sent-s.latest-b.longest(), noise, noise); r != Held {
					late = max(late, r)
					stuck = append(stuck, last.ID)
					longest = max(longest, last.Sent-s.latest)
				}
			}
		}
	}
	slices.Sort(early)
	early = slices.Compact(early)
	f.numbers.Add("calls_while_open", float64(len(early)+len(relapsed)))
	f.numbers.Add("rejected", float64(rejected))
	if shortest >= 0 {
		f.numbers.AddTime("waited", shortest)
	}
	f.numbers.Add("probed", float64(probed))
	f.numbers.Add("reopened", float64(reopened))
	if soon != Held {
		f.part(soon, early, "called again %s after it opened instead of waiting %s: %d calls reached %s while it had to be open, against %d rejected", short(shortest), short(b.Waits), len(early), b.Link, rejected)
	}
	if len(relapsed) > 0 {
		f.refute(relapsed, "kept calling while open: %d calls reached %s within %s of a failed probe", len(relapsed), b.Link, short(b.Waits))
	}
	if late != Held {
		f.part(late, stuck, "stayed open for %s and longer although it should probe after %s", short(longest), short(b.longest()))
	}
	if soon == Held && len(relapsed) == 0 {
		f.note("0 of %d requests reached %s while open", rejected, b.Link)
	}
	switch {
	case probed > 0 && soon == Held:
		f.note("probe after %s", short(shortest))
	case probed == 0 && late == Held:
		f.doubt("it opened, but the evidence ends before its first probe: let the load go on for longer than its wait")
	}
	if reopened > 0 {
		f.note("reopened %s", often(reopened))
	}
}

// judgeProbes rules on what it let through while half-open.
func (b Breaker) judgeProbes(f *finding, courses []course, t *traffic) {
	if !b.halfOpen() {
		return
	}
	allowed := b.probes()
	if !t.matched {
		allowed++ // a client may repeat a request by itself on a reused connection that broke
	}
	var most probing
	states, turned, over := 0, 0, 0
	var longest time.Duration
	var ids []uint64
	for _, c := range courses {
		for _, s := range c.silences {
			p, ok := probingAfter(t, s)
			if !ok {
				continue
			}
			states++
			turned += p.turned
			longest = max(longest, p.length)
			if len(p.ids) > len(most.ids) {
				most = p
			}
			if len(p.ids) > allowed {
				over++
				ids = append(ids, p.ids...)
			}
		}
	}
	if states == 0 {
		return // judgeWaits has said so, or the first result came after the end
	}
	f.numbers.Add("probes", float64(len(most.ids)))
	f.numbers.AddTime("probe", longest)
	f.numbers.Add("rejected_during_probes", float64(turned))
	switch {
	case over > 0:
		f.refute(ids, "half-open let %d calls through before the first result was known, bound %d, %s in %d", len(most.ids), b.probes(), often(over), states)
	case turned >= max(leastTurned, t.row):
		f.note("%s at a time, %d requests rejected meanwhile", were(len(most.ids), "probe", "probes"), turned)
	default:
		f.doubt("whether more than %s through while half-open cannot be told: the probes took at most %s and only %s meanwhile; add latency to the fault", were(b.probes(), "call is let", "calls are let"), short(longest), were(turned, "request was rejected", "requests were rejected"))
	}
}

// judgeRejects rules on how fast rejected callers were told.
func (b Breaker) judgeRejects(f *finding, courses []course, t *traffic) {
	var rejected []load.Sample
	for _, c := range courses {
		for _, s := range c.silences {
			rejected = append(rejected, s.rejected...)
		}
	}
	calm := calmly(t.run, rejected, b.RejectsWithin)
	p99, service := percentile(responseTimes(calm), 0.99), percentile(serviceTimes(calm), 0.99)
	f.numbers.AddTime("rejected_p99", p99)
	if b.RejectsWithin == 0 {
		return
	}
	noise := noiseAround(t.run, calm)
	ruling := bound(p99, b.RejectsWithin, noise)
	if _, proven := persistently(calm, b.RejectsWithin+noise); ruling == Refuted && !proven {
		ruling = Inconclusive // a burst or two: the host's, as far as one can tell
	}
	if ruling == Refuted && bound(service, b.RejectsWithin, noise) != Refuted {
		f.doubt("99%% of the rejected callers were answered within %s, bound %s, but that includes a wait in the harness: from sending it took %s", short(p99), short(b.RejectsWithin), short(service))
		return
	}
	var slow []uint64
	for _, s := range calm {
		if s.ResponseTime() > b.RejectsWithin {
			slow = append(slow, s.ID)
		}
	}
	what := fmt.Sprintf("rejected within %s (p99)", short(p99))
	if ruling != Held {
		what = fmt.Sprintf("slow to reject: 99%% of %d rejected callers were answered within %s, bound %s, noise %s", len(calm), short(p99), short(b.RejectsWithin), short(noise))
	}
	f.part(ruling, slow, "%s", what)
}

// judgeClosing rules on how soon calls flowed again after the healing.
func (b Breaker) judgeClosing(f *finding, courses []course, t *traffic) {
	slowest := time.Duration(-1)
	ruling := Held
	var stuck []course
	for _, c := range courses {
		if c.closed < 0 {
			stuck = append(stuck, c)
			continue
		}
		took := max(0, c.closed-c.to)
		slowest = max(slowest, took)
		if b.ClosesWithin > 0 {
			ruling = max(ruling, bound(took, b.ClosesWithin, t.slack(c.to, c.closed)))
		}
	}
	if slowest >= 0 {
		f.numbers.AddTime("closed_after", slowest)
		what := fmt.Sprintf("closed %s after healing", short(slowest))
		if ruling != Held {
			what += fmt.Sprintf(", bound %s", short(b.ClosesWithin))
		}
		f.part(ruling, nil, "%s", what)
	}
	for _, c := range stuck {
		b.judgeStuck(f, t, c)
	}
}

// judgeStuck rules on an opening after which calls were not seen to flow again.
func (b Breaker) judgeStuck(f *finding, t *traffic, c course) {
	left := c.limit - c.to
	switch {
	case b.ClosesWithin == 0:
		f.note("it was not seen to close, which is not claimed")
		return
	case !c.healed:
		f.doubt("the fault was still in force when the evidence ended, so that it could not close")
		return
	case left < b.ClosesWithin+t.flowWindow()+2*t.slack(c.to, c.limit):
		f.doubt("the evidence ends %s after the healing, too soon to see it close within %s", short(left), short(b.ClosesWithin))
		return
	}
	late := t.sent(c.to+b.ClosesWithin, c.limit)
	var ids []uint64
	for _, s := range late {
		if t.rejected(s) {
			ids = append(ids, s.ID)
		}
	}
	calls := len(t.begun(c.to+b.ClosesWithin, c.limit))
	f.numbers.AddTime("open_after_healing", left)
	f.refute(ids, "did not close: %s after the healing calls still do not flow, bound %s; only %d calls reached %s for %d requests since then", short(left), short(b.ClosesWithin), calls, b.Link, len(late))
}

// judgeIgnored rules on the times in which only ignored statuses came: there
// it must stay closed. The aftermath of other faults is left out.
func (b Breaker) judgeIgnored(f *finding, t *traffic, silences []silence, courses []course) {
	shown := map[int]int{}
	total := 0
	var blackout time.Duration
	var ids []uint64
	for _, e := range episodes(t.run, 0, func(i evidence.Injection) bool { return onPath(t.link, i) && b.ignored(i) }) {
		from, to := e.from, e.to
		for _, c := range courses {
			if c.from <= from && c.over() > from {
				from = c.over()
			} else if c.from > from {
				to = min(to, c.from)
			}
		}
		for _, x := range t.begun(from, to) {
			if e.hit(x) && slices.Contains(b.Ignores, x.Status) && t.end-x.End >= max(minSilence, b.Waits/2) {
				shown[x.Status]++
				total++
			}
		}
		for _, s := range silences {
			if s.first.Done < from || s.from >= to {
				continue
			}
			blackout = max(blackout, s.to-s.from)
			for _, r := range s.rejected {
				ids = append(ids, r.ID)
			}
		}
	}
	f.numbers.Add("ignored_failures", float64(total))
	if blackout > 0 {
		f.refute(ids, "opened on statuses it must ignore (%s): no call reached %s for up to %s, and %d requests were rejected", list(b.Ignores), b.Link, short(blackout), len(ids))
		return
	}
	for _, status := range b.Ignores {
		if shown[status] < leastIgnored {
			f.doubt("status %d, which it must ignore, came %s while nothing else failed: add an errors fault with it", status, often(shown[status]))
			return
		}
	}
	if total < b.needed() {
		f.doubt("only %d calls ended in a status it must ignore; at least %d are needed", total, b.needed())
		return
	}
	f.note("stayed closed through %d answers of %s", total, list(b.Ignores))
}
