package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
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
	f := find(run, b, "breaker")
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
		f.rests(from-time.Second, to, onDue|onTimes|onLoad)
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
