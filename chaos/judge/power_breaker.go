package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// breaking is an episode of faults that must open a breaker, as planned.
type breaking struct {
	from, to time.Duration
	faults   []PlannedFault
	share    float64       // of the calls that fail
	rate     float64       // calls per second
	delay    time.Duration // how long those take, at least, that fail when it begins
}

// fails is how much of the calls a fault makes fail in the breaker's eyes.
func (b Breaker) fails(p Plan, f PlannedFault) float64 {
	if _, fails := p.holds(Links{b.Link}, f); !fails {
		return 0
	}
	if !f.Does().Answers {
		return f.Share
	}
	n := 0
	for _, s := range f.Statuses {
		if s >= 500 && !slices.Contains(b.Ignores, s) {
			n++
		}
	}
	return f.Share * float64(n) / float64(max(1, len(f.Statuses)))
}

// breakings are the planned episodes. Those nearer to one another than the
// breaker waits are one to it.
func (b Breaker) breakings(p Plan) (all []breaking) {
	links := Links{b.Link}
	faults := slices.DeleteFunc(p.onPath(links), func(f PlannedFault) bool { return b.fails(p, f) == 0 })
	slices.SortStableFunc(faults, func(x, y PlannedFault) int { return cmp.Compare(x.Injected, y.Injected) })
	for _, f := range faults {
		if n := len(all); n > 0 && f.Injected-all[n-1].to <= b.Waits {
			all[n-1].to = max(all[n-1].to, f.Healed)
			all[n-1].faults = append(all[n-1].faults, f)
			continue
		}
		all = append(all, breaking{from: f.Injected, to: f.Healed, faults: []PlannedFault{f}})
	}
	for i := range all {
		e := &all[i]
		e.rate = p.rate(links, b.Route, e.from, e.to)
		for _, f := range e.faults {
			e.share = max(e.share, b.fails(p, f))
		}
		e.delay, _ = p.slow(links, e.from)
	}
	return all
}

// opens is when the breaker opens at the earliest; of several instances, when
// all have if calls are spread evenly.
func (b Breaker) opens(e breaking) time.Duration {
	return e.from + e.delay + time.Duration(float64(max(b.Failures, 1)*b.instances())/max(e.rate*e.share, 1e-3)*float64(time.Second))
}

// Power implements Planned. A breaker takes calls that fail, enough requests
// while it is open to tell that from chance, probes that last, and load until it
// has closed.
func (b Breaker) Power(p Plan) []Weakness {
	links := Links{b.Link}
	w := &weighing{Plan: p}
	if !p.wired(links) {
		return nil
	}
	episodes := b.breakings(p)
	if len(episodes) == 0 {
		w.weak("", "", fmt.Sprintf("add one like {at: 4s, for: 4s, on: %s, errors: {status: 503}}", b.Link),
			"no fault on %q makes calls fail", b.Link)
		return w.found
	}
	longest := slices.MaxFunc(episodes, func(x, y breaking) int { return cmp.Compare(x.to-x.from, y.to-y.from) })
	if b.tooSlow(w, longest) {
		return w.found
	}
	b.weighOpening(w, episodes, longest)
	b.weighProbes(w, episodes)
	b.weighRejects(w, episodes)
	b.weighClosing(w, episodes)
	b.weighIgnored(w, episodes)
	return w.found
}

// tooSlow finds too few requests to see a breaker open at all.
func (b Breaker) tooSlow(w *weighing, e breaking) bool {
	if n := e.rate * b.Waits.Seconds(); b.Waits > 0 && n < needTell {
		w.weak("", w.RateKey, fmt.Sprintf("offer at least %s of %s", rateUp(1.1*needTell/b.Waits.Seconds()), named(b.Route)),
			"at %.3g/s only %s while it waits for %s, and %d are needed to tell an open breaker from chance", e.rate,
			expected(n, "request comes", "requests come"), short(b.Waits), needTell)
		return true
	}
	need := float64(max(needFailing, 2*b.Failures*b.instances()))
	if n := e.rate * e.share * (e.to - e.from - e.delay).Seconds(); n < need {
		f := last(e.faults)
		length := e.delay + time.Duration(need/max(e.rate*e.share, 1e-3)*float64(time.Second))
		w.weak("", w.at(f, "for"), fmt.Sprintf("let %s last %s or longer, or offer more", w.at(f, ""), roundUp(length)),
			"%s fail while the fault is in force, and at least %.0f are needed to say that it should have opened",
			expected(n, "call would", "calls would"), need)
		return true
	}
	return false
}

// weighOpening asks whether the failures after which it opens can be counted, and
// whether the load goes on until it has waited.
func (b Breaker) weighOpening(w *weighing, episodes []breaking, e breaking) {
	f := last(e.faults)
	if b.Failures > 0 && e.share < 1 {
		w.weak("failures", w.at(f, "share"), "let the fault take every call: share: 100%",
			"only %.3g%% of the calls fail, and with successes between them failures in a row are not known", 100*e.share)
	}
	if b.Failures > 1 && b.instances() > 1 {
		w.weak("failures", "", "give each of them a link, and claim it there",
			"which of %d instances behind one link made a call is not seen, so that failures of all together may be those of one",
			b.instances())
	}
	if flying := oneByOne(episodes); b.Failures > 0 && flying >= 1 {
		w.weak("failures",
			"", fmt.Sprintf("let %s begin without latency beside it, at less than %.0f/s of %s", w.at(f, ""), 1/atOnce.Seconds(),
				named(b.Route)), "calls do not fail one by one: %s in progress when it opens, of which some fail before the next "+
				"request can tell",
			expected(flying, "call is", "calls are"))
	}
	if b.Waits == 0 {
		return
	}
	opened := b.opens(e)
	longest := max(b.Waits, b.WaitsAtMost)
	switch slack := longest - b.Waits + time.Duration(tolerance*float64(b.Waits)); {
	case opened+longest >= w.End:
		w.weak("waits", w.LengthKey, "let the load last "+roundUp(opened+longest+time.Second)+" or longer",
			"the load ends %s after the breaker has opened, before it has waited for %s", short(w.End-opened), short(longest))
	case e.rate*slack.Seconds() < needWithin:
		w.weak("waits", w.RateKey, fmt.Sprintf("offer at least %s of %s", rateUp(1.5*needWithin/slack.Seconds()), named(b.Route)),
			"its probe is a request that comes, and at %.3g/s %s within the tolerance of %s", e.rate,
			expected(e.rate*slack.Seconds(), "request comes", "requests come"), short(slack))
	}
}

// oneByOne is how many calls are in progress when the breaker opens, in the
// episode in which they are the fewest.
func oneByOne(episodes []breaking) float64 {
	least := math.Inf(1)
	for _, e := range episodes {
		least = min(least, e.rate*(e.delay+atOnce).Seconds())
	}
	return least
}

// probe is how long a probe takes at most that begins at a time within an episode.
func (b Breaker) probe(w *weighing, e breaking, at time.Duration) time.Duration {
	_, most := w.slow(Links{b.Link}, at)
	return min(most, e.to-at)
}

// weighProbes asks whether others come while a probe is on its way: those that
// are rejected then show how many are let through. And whether a probe is over so
// soon that it does not matter whether the next wait counts from it or its result.
func (b Breaker) weighProbes(w *weighing, episodes []breaking) {
	rejected, whole, slowest := 0.0, false, episodes[0]
	for _, e := range episodes {
		rejected = max(rejected, e.rate*w.service(Links{b.Link}).Seconds()) // the probe after the healing
		at := b.opens(e) + b.Waits
		for range 100 {
			if b.Waits == 0 && b.Probes == 0 || at >= e.to {
				break
			}
			takes := b.probe(w, e, at)
			rejected, whole = max(rejected, e.rate*takes.Seconds()), whole || at+takes < e.to
			at += max(b.Waits, minOpenPeriod) + takes
		}
		if e.to-e.from > slowest.to-slowest.from {
			slowest = e
		}
	}
	e, f := slowest, last(slowest.faults)
	if b.Probes > 0 && b.Probing == "cumulative" {
		b.weighFollowing(w, episodes)
	}
	if b.Probes == 0 || rejected >= needTurned {
		return
	}
	enough := max(20*time.Millisecond, time.Duration(3*needTurned/e.rate*float64(time.Second)))
	if whole {
		w.weak("probes", "", fmt.Sprintf("add latency of %s or more beside %s, once it has opened", roundUp(enough), w.at(f, "")),
			"the fault fails at once, so that a probe is over before another request comes")
		return
	}
	w.weak("probes", w.at(f, "for"), fmt.Sprintf("let %s last %s or longer, with latency of %s or more beside it", w.at(f, ""),
		roundUp(b.opens(e)-e.from+b.Waits+2*enough), roundUp(enough)),
		"the fault is healed before the first probe, which is then over before another request comes")
}

// weighFollowing asks whether others come while a probe that succeeds is on its
// way: only those show how many follow it until the breaker closes.
func (b Breaker) weighFollowing(w *weighing, episodes []breaking) {
	links := Links{b.Link}
	most, healed := 0.0, time.Duration(0)
	for _, e := range episodes {
		takes := w.service(links)
		early, _ := w.slow(links, e.to)
		late, _ := w.slow(links, e.to+max(b.Waits, b.WaitsAtMost))
		if n := e.rate * max(takes, min(early, late)).Seconds(); n >= most {
			most, healed = n, e.to
		}
	}
	if most >= needTurned {
		return
	}
	rate := episodes[len(episodes)-1].rate
	enough := max(20*time.Millisecond, time.Duration(3*needTurned/max(rate, 1e-3)*float64(time.Second)))
	w.weak("probes", "", fmt.Sprintf("let latency of %s or more stay until %s after the healing at %s", roundUp(enough),
		roundUp(max(b.Waits, b.WaitsAtMost)+2*enough), short(healed)),
		"a probe that succeeds is over before another request comes, so that it is not seen how many follow it")
}

// weighRejects asks for as many rejected requests as a 99th percentile takes.
func (b Breaker) weighRejects(w *weighing, episodes []breaking) {
	if b.RejectsWithin == 0 {
		return
	}
	rejected := 0.0
	for _, e := range episodes {
		until := min(w.End, e.to+max(b.Waits, b.WaitsAtMost, b.ClosesWithin))
		rejected += e.rate * max(0, (until-b.opens(e)).Seconds())
	}
	if rejected < needPercentile {
		f := last(episodes[len(episodes)-1].faults)
		w.weak("rejects_within", w.at(f, "for"), "let more requests come while it is open",
			"%s be rejected, and at least %d are needed for a 99th percentile",
			expected(rejected, "request would", "requests would"), needPercentile)
	}
}

// weighClosing asks whether the load goes on for long enough after each episode.
func (b Breaker) weighClosing(w *weighing, episodes []breaking) {
	if b.ClosesWithin == 0 {
		return
	}
	for i, e := range episodes {
		until, what, key := w.End, "the load ends", w.LengthKey
		if i+1 < len(episodes) {
			until, what, key = episodes[i+1].from, "the next fault comes", w.at(episodes[i+1].faults[0], "at")
		}
		window := max(300*time.Millisecond, time.Duration(50/max(e.rate, 1e-3)*float64(time.Second)))
		if left := until - e.to; left < b.ClosesWithin+window {
			w.weak("closes_within", key,
				fmt.Sprintf("leave %s or more after the healing at %s", roundUp(b.ClosesWithin+window+100*time.Millisecond), short(e.to)),
				"%s %s after the healing, too soon to see whether it closes within %s", what, short(left), short(b.ClosesWithin))
		}
	}
}

// weighIgnored asks whether each status that must not open the breaker comes
// while nothing else may keep it open.
func (b Breaker) weighIgnored(w *weighing, episodes []breaking) {
	links := Links{b.Link}
	for i, status := range b.Ignores {
		part := fmt.Sprintf("ignores[%d]", i)
		injected, shown, total := false, 0.0, 0.0
		var late PlannedFault
		for _, f := range w.onPath(links) {
			if !b.ignored(f.Injection) {
				continue
			}
			calls := w.hits(f, b.undisturbed(w, f, episodes))
			total += calls
			if slices.Contains(f.Statuses, status) {
				injected, late = true, f
				shown += calls / float64(len(f.Statuses))
			}
		}
		need := max(needFailing, 2*b.Failures)
		switch {
		case !injected:
			w.weak(part, "", fmt.Sprintf("add one like {at: 2s, for: 1s, on: %s, errors: {status: %d}}", b.Link, status),
				"no fault on %q answers with %d alone", b.Link, status)
		case shown < needIgnored || total < float64(need):
			w.weak(part, w.at(late, "at"),
				fmt.Sprintf("inject %s before the other faults on %q, for long enough to have %d answers", w.at(late, ""), b.Link, need),
				"%d comes to %s while no other fault may have opened the breaker, and %d are needed", status,
				expected(shown, "call", "calls"), need)
		}
	}
}

// undisturbed is how many calls come during a fault while the breaker cannot be
// open because of another one, and long enough before the end to see it open.
func (b Breaker) undisturbed(w *weighing, f PlannedFault, episodes []breaking) float64 {
	from, to := f.Injected, min(f.Healed, w.End-max(minOpenPeriod, b.Waits/2))
	for _, e := range episodes {
		over := e.to + max(b.Waits, b.WaitsAtMost)
		if e.from <= from && over > from {
			from = over
		} else if e.from > from {
			to = min(to, e.from)
		}
	}
	return w.calls(Links{b.Link}, b.Route, from, to)
}
