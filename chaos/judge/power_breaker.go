package judge

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// breaking is an episode of faults that must open a breaker, as planned.
type breaking struct {
	from, to time.Duration
	faults   []PlannedFault
	share    float64       // of the calls that fail
	rate     float64       // calls per second
	delay    time.Duration // how long those take that fail, at least
	probe    time.Duration // and at most
}

// fails is how much of the calls a fault makes fail in the breaker's eyes.
func (b Breaker) fails(p Plan, f PlannedFault) float64 {
	if _, fails := p.holds(Links{b.Link}, f); !fails {
		return 0
	}
	if f.Kind != "errors" {
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
			least, most := p.delay(links, f)
			e.delay, e.probe = max(e.delay, least), max(e.probe, most)
		}
	}
	return all
}

// opens is when the breaker opens at the earliest.
func (b Breaker) opens(e breaking) time.Duration {
	return e.from + e.delay + time.Duration(float64(max(b.Failures, 1))/max(e.rate*e.share, 1e-3)*float64(time.Second))
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
			"no fault on %s makes calls fail", b.Link)
		return w.found
	}
	longest := slices.MaxFunc(episodes, func(x, y breaking) int { return cmp.Compare(x.to-x.from, y.to-y.from) })
	if b.tooSlow(w, longest) {
		return w.found
	}
	b.weighOpening(w, longest)
	b.weighProbes(w, episodes)
	b.weighClosing(w, episodes)
	b.weighIgnored(w, episodes)
	return w.found
}

// tooSlow finds too few requests to see a breaker open at all.
func (b Breaker) tooSlow(w *weighing, e breaking) bool {
	if n := e.rate * b.Waits.Seconds(); b.Waits > 0 && n < needTell {
		w.weak("", w.RateKey, fmt.Sprintf("offer at least %s of %s", rateUp(1.1*needTell/b.Waits.Seconds()), orAll(b.Route)),
			"at %.3g/s only %s while it waits for %s, and %d are needed to tell an open breaker from chance", e.rate,
			expected(n, "request comes", "requests come"), short(b.Waits), needTell)
		return true
	}
	need := float64(max(needFailing, 2*b.Failures))
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

func (b Breaker) weighOpening(w *weighing, e breaking) {
	if b.Failures > 0 && e.share < 1 {
		f := last(e.faults)
		w.weak("failures", w.at(f, "share"), "let the fault take every call: share: 100%",
			"only %.3g%% of the calls fail, and with successes between them failures in a row are not known", 100*e.share)
	}
	if n := e.rate * acts.Seconds(); b.Failures > 0 && n >= float64(b.Failures) {
		w.weak("failures", w.RateKey, fmt.Sprintf("offer less than %.0f/s of %s", float64(b.Failures)/acts.Seconds(), orAll(b.Route)),
			"at %.0f/s about %.0f calls fail within the %s that a system takes to act on one", e.rate, n, short(acts))
	}
	if b.Waits == 0 {
		return
	}
	probe := b.opens(e) + max(b.Waits, b.WaitsAtMost)
	if probe >= w.End {
		w.weak("waits", w.LengthKey, "let the load last "+roundUp(probe+time.Second)+" or longer",
			"the load ends %s after the breaker has opened, before it has waited for %s", short(w.End-b.opens(e)),
			short(max(b.Waits, b.WaitsAtMost)))
	}
}

// weighProbes asks whether others come while a probe is on its way: those that
// are rejected then show how many are let through.
func (b Breaker) weighProbes(w *weighing, episodes []breaking) {
	if b.Probes == 0 {
		return
	}
	links := Links{b.Link}
	turned, fast := 0.0, false
	for _, e := range episodes {
		turned += e.rate * w.service(links).Seconds() // the probe after the healing
		first, period := b.opens(e)+b.Waits, max(b.Waits, minSilence)+e.probe
		if first < e.to {
			probes := (e.to - first) / period
			turned += e.rate * (time.Duration(probes)*e.probe + min(e.probe, (e.to-first)%period)).Seconds()
			fast = fast || first+e.probe <= e.to
		}
	}
	if turned >= needTurned {
		return
	}
	e := slices.MaxFunc(episodes, func(x, y breaking) int { return cmp.Compare(x.to-x.from, y.to-y.from) })
	f := last(e.faults)
	enough := max(20*time.Millisecond, time.Duration(3*needTurned/e.rate*float64(time.Second)))
	whole := roundUp(b.opens(e) - e.from + b.Waits + 2*enough)
	if fast {
		w.weak("probes", "", fmt.Sprintf("add latency of %s or more beside %s", roundUp(enough), w.at(f, "")),
			"the fault fails at once, so that a probe is over before another request comes")
		return
	}
	w.weak("probes", w.at(f, "for"),
		fmt.Sprintf("let %s last %s or longer, with latency of %s or more beside it", w.at(f, ""), whole, roundUp(enough)),
		"the fault is healed before the first probe, which is then over before another request comes")
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
			if !b.spares(f) {
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
				"no fault on %s answers with %d alone", b.Link, status)
		case shown < needIgnored || total < float64(need):
			w.weak(part, w.at(late, "at"),
				fmt.Sprintf("inject %s before the other faults on %s, for long enough to have %d answers", w.at(late, ""), b.Link, need),
				"%d comes to %s while no other fault may have opened the breaker, and %d are needed", status,
				expected(shown, "call", "calls"), need)
		}
	}
}

// spares reports whether a fault answers with nothing but what must not open the
// breaker.
func (b Breaker) spares(f PlannedFault) bool {
	return f.Kind == "errors" && len(f.Statuses) > 0 &&
		!slices.ContainsFunc(f.Statuses, func(s int) bool { return !slices.Contains(b.Ignores, s) })
}

// undisturbed is how many calls come during a fault while the breaker cannot be
// open because of another one, and long enough before the end to see it open.
func (b Breaker) undisturbed(w *weighing, f PlannedFault, episodes []breaking) float64 {
	from, to := f.Injected, min(f.Healed, w.End-max(minSilence, b.Waits/2))
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
