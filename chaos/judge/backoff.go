package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Backoff claims that the retries of calls over Link wait, by which law, and
// how far they are spread. The wait is measured from the end of one attempt to
// the begin of the next, both seen at the link.
//
// The relay stamps the end of an answer before the caller has it and the begin
// of the next attempt after it was sent, so a measured wait is never shorter
// than the real one: too early is exact, also on a busy host. How much longer it
// may be is read off the hops of the requests (see transit), and where the host
// was late for more than a tenth of a wait the upper side of that wait is not
// known. Lower and upper end of each rank's waits follow from that (see
// scatter), and from them the settings, none of which looks at the declared one.
type Backoff struct {
	Link  string        `yaml:"link"`  // The link the calls go over.
	Route string        `yaml:"route"` // The route whose calls count; absent means all.
	Base  time.Duration `yaml:"base"`  // The first wait, without jitter, within 5%.
	// Growth from one wait to the next, within 5%; not with the laws constant, linear and decorrelated. Absent means 2.
	Factor float64 `yaml:"factor"`
	// Longest wait without jitter, within 5%: waits must be seen to grow no more. Absent means none, so that they
	// grow all along.
	Cap time.Duration `yaml:"cap"`
	// How far a wait d is spread, as a part of d, within 8% of it; absent means not at all: all waits within 5% of
	// d.
	Jitter unit.Share `yaml:"jitter"`
	// In place of jitter, the time that a wait is spread by however long it is, within 5%; absent means none.
	Noise time.Duration `yaml:"noise"`
	// add: d to d(1+jitter) or d+noise; spread: d(1−jitter) to d(1+jitter) or d±noise; full: 0 to d; constant and
	// linear: as add, d being base each time, or k·base; decorrelated: base to three times the wait before, cap
	// included. Absent means add.
	Law string `yaml:"law"`
	// Claims that a retry never comes before the Retry-After it was given; what comes instead of it by the law is not
	// judged then. Absent is not judged.
	RetryAfter bool `yaml:"retry_after"`
	// When many calls fail at one instant: at most so many retries in any 10 ms, relative to an even spread over the
	// claimed range; absent is not judged.
	Herd float64 `yaml:"herd"`
}

const (
	leastTold   = 5  // retries after a Retry-After
	leastCohort = 30 // calls that failed at one instant
)

// grain is by how much a timer may be off for reasons of its own, and so the
// slack of a wait: 1 ms, as a sleep in Node.js may end early, and for waits of
// less than 25 ms a part of them that leaves a lie of a tenth out.
func grain(wait time.Duration) time.Duration { return min(time.Millisecond, wait/25) }

// Judge implements Claim.
func (c Backoff) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "backoff")
	f.over(c.Link)
	link := run.Links[c.Link]
	if link == nil || len(link.Exchanges) == 0 {
		f.open("base", "no call went over %q"+noCalls, c.Link)
		return f.verdict()
	}
	if !hasRoute(run, c.Route) {
		f.open("base", noRoute, c.Route)
		return f.verdict()
	}
	spans := episodes(run, 0, func(i evidence.Injection) bool { return onPath(link, i) })
	from, to := reach(run, spans)
	f.rests(from, min(to, horizon(run)), onTimes)
	if !propagates(link) {
		f.open("base", noIDs,
			len(link.Exchanges), c.Link)
		return f.verdict()
	}
	noise := run.Noise(from, to)
	a := attemptedOver(run, link, c.Route, noise)
	calls := a.own
	if a.mixed > 0 {
		f.numbers.Add("calls_of_repeated_requests", float64(a.mixed))
	}
	if len(a.fanned) > 0 {
		f.show(func() Exhibit { return attemptCounts(a.own, c.Link, "base", nil) })
		f.open("base", fannedOut,
			len(a.fanned), a.quiet, c.Link)
		return f.verdict()
	}
	receipts := receiptsOf(run, Links{c.Link}, link, noise)
	ways := hopsOf(run, calls, from, to)
	hops := ways.whole()
	blur := noise
	if hops.known && calm(run, from, from, blur) && noise <= evidence.LeastNoise {
		blur = hops.tail
	}
	byRank, told, overlaps := ranks(calls, blur, noise, receipts)
	c.count(f, calls, byRank, told, overlaps)
	c.deepest(f, byRank, told)
	f.numbers.AddTime("noise", noise)
	f.numbers.AddTime("hops", hops.tail)
	if c.RetryAfter {
		c.judgeRetryAfter(f, link, told, receipts)
	}
	if len(byRank) == 0 || len(byRank[0].all)+len(told) == 0 {
		f.open("base", "no call over %q was retried: let a fault make calls fail in a way that is, and callers wait for it", c.Link)
		f.show(func() Exhibit { return attemptCounts(calls, c.Link, "base", nil) })
		return f.verdict()
	}
	c.judgeEarly(f, byRank)
	c.judgeWaits(f, run, byRank, ways, run.Lateness(from, to))
	if c.Herd > 0 {
		c.judgeHerd(f, run, byRank)
	}
	if unfinished(run, c.Link) {
		f.open("evidence", "the run was cut before its faults on %q were over"+toTheEnd, c.Link)
	}
	return f.verdict()
}

// hasRoute reports whether the run has the route; "" is all of them.
func hasRoute(run *evidence.Run, route string) bool {
	_, ok := run.Route(route)
	return ok || route == ""
}

// count writes down what there was to measure.
func (c Backoff) count(f *finding, all *calls, byRank []waits, told []wait, overlaps int) {
	first := 0
	if len(byRank) > 0 {
		first = len(byRank[0].all)
	}
	f.numbers.Add("calls", float64(all.len()))
	f.numbers.Add("first_waits", float64(first))
	f.numbers.Add("waits_after_retry_after", float64(len(told)))
	f.numbers.Add("overlapping_attempts", float64(overlaps))
}

// judgeWaits measures the waits of each rank and rules on the settings.
func (c Backoff) judgeWaits(f *finding, run *evidence.Run, byRank []waits, ways hops, behind time.Duration) {
	var all []scatter
	for i, w := range byRank {
		if len(w.all) < leastWaits {
			break // the later ones are fewer still
		}
		s := scatterOf(run, w, i+1, ways, behind)
		all = append(all, s)
		lower, upper := c.within(i + 1)
		f.numbers.Add(fmt.Sprintf("waits_%d", s.rank), float64(len(w.all)))
		f.numbers.AddTime(fmt.Sprintf("wait_%d_min", s.rank), s.gaps[0])
		f.numbers.AddTime(fmt.Sprintf("wait_%d_p50", s.rank), s.middle)
		f.numbers.AddTime(fmt.Sprintf("wait_%d_p90", s.rank), percentile(s.gaps, 0.9))
		f.numbers.AddTime(fmt.Sprintf("law_%d_from", s.rank), lower)
		f.numbers.AddTime(fmt.Sprintf("law_%d_to", s.rank), upper)
	}
	f.show(func() Exhibit { return c.waitsOf(byRank, all) })
	if len(all) == 0 {
		f.open("base", "only %s seen: at least %d are needed"+moreFail,
			were(len(byRank[0].all), "first wait was", "first waits were"), leastWaits)
		return
	}
	if c.declared().growth == decorrelated {
		c.judgeDecorrelated(f, run, byRank, all, ways, behind)
		return
	}
	c.judgeGrowth(f, all, len(byRank) > len(all) && len(byRank[len(all)].all) == 0 && byRank[len(all)].ends >= leastWaits)
	c.judgeJitter(f, all)
	if c.jitters() {
		c.judgeEvenness(f, all, byRank)
	}
}

// judgeEarly counts the waits that are shorter than the law has them. On any
// host that is exact. A hundredth of them may be strays that are not the
// policy's, which keep the claim from being held and do not refute it. Where
// waits begin at 0 no single one can be too short; there, clearly more than half
// of them below the middle are, and the settings tell.
func (c Backoff) judgeEarly(f *finding, byRank []waits) {
	var ids []uint64
	sure, possible, worst, sample := 0, 0, 0, 0
	for i, w := range byRank {
		lower, _ := c.within(i + 1)
		limit := lower - time.Duration(tolerance*float64(lower)) - grain(lower)
		if lower <= 0 || len(w.all) == 0 {
			continue
		}
		n, seem := 0, 0
		for _, x := range w.all {
			if x.gap()+x.blur < limit {
				n++
				ids = append(ids, x.id)
			}
			if x.gap() < limit {
				seem++
			}
		}
		sample += len(w.all)
		sure += max(0, n-max(2, len(w.all)/100))
		possible += seem
		if n > 0 && worst == 0 {
			worst = i + 1
		}
	}
	f.numbers.Add("waits_too_early", float64(len(ids)))
	if possible == 0 {
		return // the settings say the rest
	}
	says := were(possible, "retry seems to have come", "retries seem to have come") + " earlier than the law has it"
	if worst > 0 {
		gaps := byRank[worst-1].gaps()
		lower, upper := c.within(worst)
		says = fmt.Sprintf("retries came too early: half of %d retries number %d within %s, where %s was claimed",
			len(gaps), worst, short(max(0, percentile(gaps, 0.5))), ranging(lower, upper))
	}
	f.rule(measure{
		name: "early", seen: interval(sure, possible), allowed: atMost(0), sample: sample, ids: ids, says: says,
		settle: "a stray or two may be no wait of the policy's, and of calls that nobody answered the end is known only within " +
			"the noise: a host with cores to spare would tell",
	})
}

// ranging prints a range.
func ranging(lower, upper time.Duration) string {
	if upper <= lower {
		return short(lower)
	}
	return short(lower) + " to " + short(upper)
}

// all lists the calls of the waits.
func all(ws []wait) []uint64 {
	ids := make([]uint64, len(ws))
	for i, w := range ws {
		ids[i] = w.id
	}
	return ids
}
