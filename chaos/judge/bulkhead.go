package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// Bulkhead claims that calls over Link have their own bounded share of the
// system: when the dependency behind it drowns, it takes no more than Limit
// and the unaffected routes stay dry. What is absent is not judged.
//
// The limit is exact. A call counts from the begin to the end of its exchange;
// where nobody answered it, the relay may have seen its end late by the host's
// noise: that is taken off, and what still exceeds the limit must last.
//
// A limit smaller than claimed keeps the claim, "at most", and is named. One
// that shrinks from one episode of faults to the next is a leak: permits that
// were taken and not given back (resilience4j #332, failsafe-lib #393). What
// tells it from a lack of load are calls turned away below the old limit.
type Bulkhead struct {
	Link          string        `yaml:"link"`           // The link that drowns.
	Route         string        `yaml:"route"`          // The route that causes its calls.
	Limit         int           `yaml:"limit"`          // Most calls in progress on the link at one time.
	Unaffected    []string      `yaml:"unaffected"`     // Routes that must not notice.
	Goodput       unit.Share    `yaml:"goodput"`        // What the unaffected must keep of their baseline; absent means 95%.
	Slowdown      float64       `yaml:"slowdown"`       // How much their 99th percentile may grow; absent means 1.5 times.
	RejectsWithin time.Duration `yaml:"rejects_within"` // 99th percentile of the response time of calls that found it full.
	FreedWithin   time.Duration `yaml:"freed_within"`   // From each healing until the route's goodput is back and the bulkhead can be filled again; absent means 5s.
}

// What a run must have shown before a bulkhead claim can hold.
const (
	leastHits     = 10 // calls that the faults touched
	leastRejects  = 20 // calls turned away, to speak of a 99th percentile
	leastBaseline = 50 // requests of a route before the first fault
	leastPlateau  = 10 // calls turned away at one level, to call it the limit
)

func (c Bulkhead) String() string {
	var parts []string
	if c.Limit > 0 {
		parts = append(parts, fmt.Sprintf("at most %d calls at a time", c.Limit))
	}
	if len(c.Unaffected) > 0 {
		parts = append(parts, strings.Join(c.Unaffected, ", ")+" unaffected")
	}
	if c.RejectsWithin > 0 {
		parts = append(parts, "turns away within "+short(c.RejectsWithin))
	}
	parts = append(parts, "free again within "+short(c.freedWithin()))
	return fmt.Sprintf("bulkhead of %s over %s: %s", orAll(c.Route), c.Link, strings.Join(parts, ", "))
}

func (c Bulkhead) goodput() float64 {
	if c.Goodput > 0 {
		return float64(c.Goodput)
	}
	return 0.95
}

func (c Bulkhead) slowdown() float64 {
	if c.Slowdown > 0 {
		return c.Slowdown
	}
	return 1.5
}

func (c Bulkhead) freedWithin() time.Duration {
	if c.FreedWithin > 0 {
		return c.FreedWithin
	}
	return 5 * time.Second
}

// filling is what one episode of faults did to the bulkhead.
type filling struct {
	span
	peak   int      // most calls in progress
	sure   int      // the same, less what the relay may have seen late
	turned []turned // calls turned away
	level  int      // calls in progress when half of those were turned away, or fewer
	top    int      // the same for nine tenths
}

// turned is a call that failed without ever reaching the link.
type turned struct {
	load.Sample
	level int // most calls in progress on the link meanwhile
}

// plateau tells whether calls were turned away at about one level: that of a
// full bulkhead, whatever its size, also while it shrinks. A breaker turns them
// away most of all when nothing is in progress.
func (e filling) plateau() bool {
	full := len(e.full())
	return full >= leastPlateau && 5*full >= 4*len(e.turned)
}

// full lists the calls that were turned away at about that level: half of it
// at least, for a place may be taken while the link does not show it.
func (e filling) full() []load.Sample {
	var full []load.Sample
	for _, t := range e.turned {
		if t.level > 0 && 2*t.level >= e.level {
			full = append(full, t.Sample)
		}
	}
	return full
}

// slows tells whether the episode's faults keep calls in progress: errors and
// resets end them instead, and so do responses that are cut short, or dropped
// with a reset; bytes that are changed and requests that come twice take no
// longer.
func (e filling) slows() bool {
	return slices.ContainsFunc(e.faults, func(f evidence.Injection) bool {
		switch f.Kind {
		case "errors", "reset", "truncate", "corrupt", "duplicate":
			return false
		}
		return !f.Ends
	})
}

// Judge implements Claim.
func (c Bulkhead) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "bulkhead")
	link := run.Links[c.Link]
	if link == nil || len(link.Exchanges) == 0 {
		f.doubt("no call went over %s", c.Link)
		return f.verdict()
	}
	for _, route := range append([]string{c.Route}, c.Unaffected...) {
		if _, ok := frontOf(run, route); !ok {
			f.doubt("the run has no route %s", route)
			return f.verdict()
		}
	}
	spans := episodes(run, 0, func(i evidence.Injection) bool { return onPath(link, i) })
	hits := hitOf(link, spans)
	f.numbers.Add("faulty_episodes", float64(len(spans)))
	f.numbers.Add("calls_hit", float64(hits))
	switch {
	case len(spans) == 0:
		f.doubt("no fault was in force on %s: nothing drowned", c.Link)
		return f.verdict()
	case hits < leastHits:
		f.doubt("the faults on %s hit only %s; at least %d are needed", c.Link, were(hits, "call", "calls"), leastHits)
		return f.verdict()
	}
	f.rests(0, min(spans[len(spans)-1].to, horizon(run)), onDue|onTimes|onLoad)
	noise := run.Noise(spans[0].from, run.End)
	f.numbers.AddTime("noise", noise)
	own := callers(run, link, c.Route)
	fills := fillings(link, own, spans, noise)

	if c.judgeLimit(f, link, noise) {
		c.judgeFilling(f, link, fills)
	}
	c.judgeRejects(f, run, link, own, fills)
	for _, route := range c.Unaffected {
		c.judgeUnaffected(f, run, route, spans)
	}
	c.judgeFreed(f, run, link, own, fills)
	if unfinished(run, c.Link) {
		f.doubt("the run was cut before its faults on %s were over", c.Link)
	}
	return f.verdict()
}

// asSeen takes the ends of exchanges as they are recorded.
func asSeen(evidence.Exchange) time.Duration { return 0 }

// replied tells whether the caller was given a response. The end of such an
// exchange was stamped before.
func replied(x evidence.Exchange) bool {
	return x.Ending == evidence.Answered || x.Ending == evidence.Injected
}

// late is how much later than the caller the relay may have seen the end of an
// exchange.
func late(noise time.Duration) func(evidence.Exchange) time.Duration {
	return func(x evidence.Exchange) time.Duration {
		if replied(x) {
			return time.Millisecond // a caller may be done with the head, a write before the last bytes
		}
		return 2 * noise // once for the relay and once, among many calls, for what a sampled noise has missed
	}
}

func fillings(link *evidence.Link, own []load.Sample, spans []span, noise time.Duration) []filling {
	profile, sure := profileOf(link.Exchanges, asSeen), profileOf(link.Exchanges, late(noise))
	called := exchangesByID(link.Exchanges)
	matched := propagates(link)
	fills := make([]filling, len(spans))
	for i, s := range spans {
		e := filling{span: s}
		e.peak, _ = profile.most(s.from, s.to)
		e.sure, _ = sure.most(s.from, s.to)
		var levels []int
		for _, x := range due(own, s.from, s.to) {
			if matched && len(called[x.ID]) == 0 && x.Outcome != load.OK && x.Outcome != load.Unsent && x.Outcome != load.Refused {
				level, _ := profile.most(x.Sent, x.Done)
				e.turned = append(e.turned, turned{x, level})
				levels = append(levels, level)
			}
		}
		if slices.Sort(levels); len(levels) > 0 {
			e.level, e.top = levels[len(levels)/2], levels[len(levels)*9/10]
		}
		fills[i] = e
	}
	return fills
}

// judgeLimit looks at the whole run, for the limit holds at all times. It is
// false if that refutes the claim.
func (c Bulkhead) judgeLimit(f *finding, link *evidence.Link, noise time.Duration) bool {
	if c.Limit <= 0 {
		return true
	}
	sure := profileOf(link.Exchanges, late(noise))
	exact := profileOf(slices.DeleteFunc(slices.Clone(link.Exchanges), func(x evidence.Exchange) bool { return !replied(x) }), late(noise))
	last := link.Exchanges[len(link.Exchanges)-1].Begin
	most, at := sure.most(0, last)
	f.numbers.Add("in_progress_max", float64(most))
	longest, _ := profileOf(link.Exchanges, asSeen).over(c.Limit)
	_, proven := exact.over(c.Limit)
	_, likely := sure.over(c.Limit)
	switch {
	case proven > 0 || likely > noise:
		f.refute(during(link.Exchanges, at), "%d calls were in progress on %s at %s, more than %d", most, c.Link, short(at), c.Limit)
		return false
	case likely > 0 || longest > noise:
		f.doubt("more than %d calls seemed to be in progress on %s for %s, but the ends of calls that nobody answered are known only within the host's noise of %s: longer calls would show it", c.Limit, c.Link, short(max(likely, longest)), short(noise))
	}
	return true
}

// judgeFilling tells whether the bulkhead was full, and whether it could be
// filled again.
func (c Bulkhead) judgeFilling(f *finding, link *evidence.Link, fills []filling) {
	patient := slices.ContainsFunc(fills, filling.slows)
	slow := slices.DeleteFunc(slices.Clone(fills), func(e filling) bool { return patient && !e.slows() })
	for i, e := range slow {
		f.numbers.Add(fmt.Sprintf("episode_%d_in_progress_max", i+1), float64(e.peak))
		f.numbers.Add(fmt.Sprintf("episode_%d_turned_away", i+1), float64(len(e.turned)))
	}
	first := slow[0]
	smaller := ""
	if c.Limit > 0 && first.peak < c.Limit {
		if !first.plateau() {
			f.doubt("the bulkhead was never full: only %d of %d calls were in progress at most; more load or longer latency is needed", first.peak, c.Limit)
			return
		}
		smaller = fmt.Sprintf("; calls were turned away at %d already, so the real limit is smaller than %d", first.level, c.Limit)
	}
	capacity := first.sure
	if c.Limit > 0 {
		capacity = min(capacity, c.Limit)
	}
	for i, e := range slow[1:] {
		if c.lost(f, link, first, e, capacity, i+2) {
			return
		}
	}
	if c.shrank(f, slow[len(slow)-1], capacity) {
		return
	}
	if c.Limit > 0 && smaller == "" {
		f.note("it was full at %d calls and took no more", c.Limit)
	} else {
		f.note("it took up to %d calls at a time%s", capacity, smaller)
	}
}

// lost compares a later episode of faults with the first: does it still take
// as many calls? It is true if that cannot be said.
//
// The proof of a leak is a peak, as seen, which a busy host can only raise,
// below the number at which the first episode turned calls away. What is lower
// only when what the host may have added is taken off stays open.
func (c Bulkhead) lost(f *finding, link *evidence.Link, first, e filling, capacity, episode int) bool {
	if e.sure >= capacity {
		return false
	}
	retried := retries(link)
	switch {
	case len(e.turned) < leastPlateau:
		f.doubt("episode %d of the faults did not fill the bulkhead again: %d of %d calls were in progress at most; more load is needed there", episode, e.peak, capacity)
	case retried > 0:
		f.doubt("episode %d turned calls away though no more than %d were in progress, %d in the first, but %d calls were retried and may have held a place while they waited: without retries it would show whether it leaks", episode, e.peak, capacity, retried)
	case !e.plateau():
		f.doubt("episode %d turned %d calls away at any number in progress: something else than the bulkhead did that, and whether it leaks cannot be told", episode, len(e.turned))
	case min(capacity, first.top)-e.peak >= max(2, capacity/10):
		f.refute(idsOf(e.turned), "the bulkhead leaks: in the first episode of faults it took %d calls, in episode %d no more than %d while it turned %d away", capacity, episode, e.peak, len(e.turned))
	default:
		f.doubt("episode %d turned %d calls away though hardly more than %d were in progress, %d in the first: too little to tell a leak from chance", episode, len(e.turned), e.sure, capacity)
	}
	return true
}

// shrank looks for a leak within the last episode: its last calls turned away
// while the link was busy, but well below what the bulkhead took before. That
// is no proof, for a breaker turns calls away too; a further episode tells.
func (c Bulkhead) shrank(f *finding, e filling, capacity int) bool {
	last := e.turned[max(0, len(e.turned)-2*leastPlateau):]
	below, least := 0, capacity-max(2, capacity/10)
	for _, t := range last {
		if t.level > 0 && t.level <= least {
			below++
		}
	}
	if below < leastPlateau {
		return false
	}
	f.doubt("it took %d calls at first, but %d of the last %d that it turned away came when no more than %d were in progress: it may leak, which a further episode of faults would show", capacity, below, len(last), least)
	return true
}

// retries counts the exchanges beyond the first of each request.
func retries(link *evidence.Link) int {
	n := 0
	for _, attempts := range exchangesByID(link.Exchanges) {
		n += len(attempts) - 1
	}
	return n
}

// judgeRejects looks at how fast calls are turned away that find the bulkhead
// full. What the same route's quick answers vary by before the faults is the
// host's and not the bulkhead's.
func (c Bulkhead) judgeRejects(f *finding, run *evidence.Run, link *evidence.Link, own []load.Sample, fills []filling) {
	var full []load.Sample
	for _, e := range fills {
		full = append(full, e.full()...)
	}
	f.numbers.Add("turned_away_when_full", float64(len(full)))
	if len(full) > 0 {
		f.numbers.AddTime("turned_away_p50", percentile(responseTimes(full), 0.5))
		f.numbers.AddTime("turned_away_p99", percentile(responseTimes(full), 0.99))
	}
	switch {
	case c.RejectsWithin <= 0:
		return
	case !propagates(link):
		f.doubt("calls that were turned away cannot be told from others: none of %d calls on %s carries a request id. The system must pass on X-Request-Id or traceparent", len(link.Exchanges), c.Link)
		return
	case len(full) < leastRejects:
		f.doubt("only %s turned away by the full bulkhead; at least %d are needed", were(len(full), "call was", "calls were"), leastRejects)
		return
	}
	times := responseTimes(untouched(run, own))
	varies := percentile(times, 0.99) - percentile(times, 0.5)
	calm := calmly(run, full, c.RejectsWithin)
	noise := noiseAround(run, calm)
	p99 := percentile(responseTimes(calm), 0.99)
	what := fmt.Sprintf("of %d calls turned away by the full bulkhead, 99%% were within %s (bound %s)", len(calm), short(p99), short(c.RejectsWithin))
	if p99 <= c.RejectsWithin {
		f.note("%s", what)
	} else if slow, proven := persistently(calm, c.RejectsWithin+noise+varies); proven {
		f.refute(slow, "%s", what)
	} else {
		f.doubt("%s; the host's noise of %s could have made that", what, short(noise+varies))
	}
}

// persistently tells whether clearly more than 1% of the samples took longer
// than limit, and did so all along and not in a few bursts: a stall of the
// host strikes many samples at once, which are then no independent proof.
func persistently(samples []load.Sample, limit time.Duration) (slow []uint64, proven bool) {
	const slice = 250 * time.Millisecond
	all, struck := make(map[time.Duration]bool), make(map[time.Duration]bool)
	for _, s := range samples {
		all[s.Intended/slice] = true
		if s.ResponseTime() > limit {
			slow = append(slow, s.ID)
			struck[s.Intended/slice] = true
		}
	}
	low, _ := scoreInterval(len(slow), len(samples), 3)
	return slow, low > 0.01 && len(struck) >= 3 && 4*len(struck) >= len(all)
}

// judgeUnaffected compares a route that does not use the link with itself
// before the faults.
func (c Bulkhead) judgeUnaffected(f *finding, run *evidence.Run, route string, spans []span) {
	samples, _ := frontOf(run, route)
	sent := slices.DeleteFunc(slices.Clone(samples), func(s load.Sample) bool { return s.Outcome == load.Unsent })
	before := untouched(run, sent)
	var within []load.Sample
	for _, s := range spans {
		within = append(within, due(sent, s.from, s.to)...)
	}
	if len(before) < leastBaseline || len(within) < leastBaseline {
		f.doubt("%s had only %d requests before the faults and %d during them; at least %d each are needed", route, len(before), len(within), leastBaseline)
		return
	}
	baseline := float64(countOK(before)) / float64(len(before))
	share := float64(countOK(within)) / float64(len(within))
	p0, p1 := percentile(responseTimes(before), 0.99), percentile(responseTimes(within), 0.99)
	f.numbers.Add(route+"_baseline_success_pct", 100*baseline)
	f.numbers.Add(route+"_success_pct", 100*share)
	f.numbers.AddTime(route+"_baseline_p99", p0)
	f.numbers.AddTime(route+"_p99", p1)
	if baseline == 0 {
		f.doubt("no request of %s succeeded before the faults: there is nothing it could keep", route)
		return
	}
	least := c.goodput() * baseline
	if _, high := scoreInterval(countOK(within), len(within), 3); share < least && high < least {
		f.refute(failures(within), "%s was affected: %.3g%% of its %d requests succeeded during the faults, %.4g%% before; at least %.3g%% of that was claimed", route, 100*share, len(within), 100*baseline, 100*c.goodput())
		return
	} else if share < least {
		f.doubt("%.3g%% of %d requests of %s succeeded during the faults, %.4g%% before: too few to tell chance from harm", 100*share, len(within), route, 100*baseline)
		return
	}
	noise := max(run.Noise(0, firstInjection(run)), run.Noise(spans[0].from, spans[len(spans)-1].to))
	limit := max(time.Duration(c.slowdown()*float64(p0)), p0+noise)
	what := fmt.Sprintf("the p99 of %s went from %s to %s during the faults (bound %s)", route, short(p0), short(p1), short(limit))
	if p1 <= limit {
		f.note("%s kept %.4g%% of its successes and its p99 went from %s to %s", route, 100*min(share/baseline, 1), short(p0), short(p1))
		return
	}
	slow, proven := persistently(within, max(limit, p0+3*noise)+noise)
	switch {
	case percentile(serviceTimes(within), 0.99) <= limit:
		f.doubt("%s, but in the harness, which had no free connection: raise load.connections", what)
	case proven:
		f.refute(slow, "%s was affected: %s", route, what)
	default:
		f.doubt("%s; the host's noise of %s could have made that", what, short(noise))
	}
}

// judgeFreed looks for the route's goodput after each healing.
func (c Bulkhead) judgeFreed(f *finding, run *evidence.Run, link *evidence.Link, own []load.Sample, fills []filling) {
	before := untouched(run, own)
	if len(before) < leastBaseline {
		f.doubt("%s had only %d requests before the faults; at least %d are needed to tell when it is free again", orAll(c.Route), len(before), leastBaseline)
		return
	}
	baseline := float64(countOK(before)) / float64(len(before))
	least := 0.95 * baseline
	if baseline == 0 {
		f.doubt("no request of %s succeeded before the faults: it cannot come back", orAll(c.Route))
		return
	}
	end := horizon(run)
	var slowest time.Duration
	judged := 0
	for i, e := range fills {
		until := end
		if i+1 < len(fills) {
			until = fills[i+1].from
		}
		if !e.healed || until <= e.to {
			continue
		}
		judged++
		after := due(own, e.to, until)
		noise := run.Noise(e.to, min(until, e.to+c.freedWithin()))
		took, back := freed(after, e.to, until, least)
		if back {
			f.numbers.AddTime(fmt.Sprintf("freed_%d", i+1), took)
			slowest = max(slowest, took)
			r := bound(took, c.freedWithin(), noise)
			if r != Held {
				f.part(r, failures(due(own, e.to+c.freedWithin(), e.to+took)), "%s was free again only %s after the healing at %s, bound %s", orAll(c.Route), short(took), short(e.to), short(c.freedWithin()))
			}
			continue
		}
		rest := due(after, e.to+c.freedWithin()+noise, until)
		share := float64(countOK(rest)) / float64(max(1, len(rest)))
		if _, high := scoreInterval(countOK(rest), len(rest), 3); len(rest) < leastArrivals || high >= least {
			f.doubt("%s was not back when the evidence after the healing at %s ended %s later: the bound is %s", orAll(c.Route), short(e.to), short(until-e.to), short(c.freedWithin()))
			continue
		}
		busy, _ := profileOf(link.Exchanges, asSeen).most(e.to+c.freedWithin(), until)
		f.refute(failures(rest), "places were not given back: from %s after the healing at %s on only %.3g%% of %d requests of %s succeeded, %.4g%% before the faults, with at most %d calls in progress on %s", short(c.freedWithin()), short(e.to), 100*share, len(rest), orAll(c.Route), 100*baseline, busy, c.Link)
	}
	if judged == 0 {
		f.doubt("the evidence ends before a fault was healed: whether places are given back cannot be told")
	} else if slowest > 0 {
		f.note("%s was back %s after the healing", orAll(c.Route), short(slowest))
	}
}

// freed finds the first request after the healing from which on at least this
// share succeeds: over half a second and ten requests, and, so that a lucky
// moment does not count, not clearly less over all that follows.
func freed(after []load.Sample, healed, until time.Duration, least float64) (took time.Duration, back bool) {
	const window, requests = 500 * time.Millisecond, 10
	good := make([]int, len(after)+1) // good[i] of after[:i] succeeded
	for i, s := range after {
		good[i+1] = good[i]
		if s.Outcome == load.OK {
			good[i+1]++
		}
	}
	to := 0
	for i, s := range after {
		for to < len(after) && (after[to].Intended < s.Intended+window || to < i+requests) {
			to++
		}
		n := to - i
		if n < requests || s.Intended+window > until {
			return 0, false
		}
		_, high := scoreInterval(good[len(after)]-good[i], len(after)-i, 3)
		if s.Outcome == load.OK && float64(good[to]-good[i]) >= least*float64(n) && high >= least {
			return s.Intended - healed, true
		}
	}
	return 0, false
}

func failures(samples []load.Sample) []uint64 {
	var ids []uint64
	for _, s := range samples {
		if s.Outcome != load.OK {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func idsOf(ts []turned) []uint64 {
	ids := make([]uint64, len(ts))
	for i, t := range ts {
		ids[i] = t.ID
	}
	return ids
}
