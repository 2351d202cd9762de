package judge

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Power implements Planned. A bulkhead takes calls that are held up for so long,
// and come so fast, that they fill it (Little's law: those in progress are the
// rate times how long each is held), and load after each healing.
func (c Bulkhead) Power(p Plan) []Weakness {
	links := Links{c.Link}
	w := &weighing{Plan: p}
	if !p.wired(links) {
		return nil
	}
	faults := p.onPath(links)
	hits := 0.0
	for _, f := range faults {
		hits += p.hits(f, p.calls(links, c.Route, f.Injected, f.Healed))
	}
	switch {
	case len(faults) == 0:
		w.weak("", "", fmt.Sprintf("add one like {at: 2s, for: 3s, on: %s, partition: {}}", c.Link),
			"no fault is on %q, so that nothing drowns", c.Link)
		return w.found
	case hits < needHung:
		f := last(faults)
		w.weak("", p.at(f, "for"), p.longer(f, hits, needHung),
			"the faults on %q hit %s, and at least %d are needed", c.Link, expected(hits, "call", "calls"), needHung)
		return w.found
	}
	c.weighSaturation(w, faults)
	c.weighUnaffected(w, faults)
	c.weighFreed(w, faults)
	return w.found
}

// weighSaturation asks whether each fault that holds calls up fills the bulkhead,
// and how many are turned away then.
func (c Bulkhead) weighSaturation(w *weighing, faults []PlannedFault) {
	links := Links{c.Link}
	slow := slices.DeleteFunc(slices.Clone(faults), func(f PlannedFault) bool {
		stall, _ := w.holds(links, f)
		return stall == 0
	})
	if len(slow) == 0 {
		for part, claimed := range map[string]bool{"limit": c.Limit > 0, "rejects_within": c.RejectsWithin > 0} {
			if claimed {
				w.weak(part, "", fmt.Sprintf("add one like {at: 2s, for: 3s, on: %s, partition: {}}", c.Link),
					"the faults on %q end calls at once, so that none of them keeps a place", c.Link)
			}
		}
		return
	}
	rejected := 0.0
	for _, f := range slow {
		stall, _ := w.holds(links, f)
		length := f.Healed - f.Injected
		rate := w.rate(links, c.Route, f.Injected, f.Healed) * f.Share
		filled := rate * min(stall, length).Seconds()
		if filled < float64(c.Limit) {
			key, turn := w.RateKey,
				"offer at least "+rateUp(1.3*float64(c.Limit)/max(min(stall, length).Seconds()*f.Share, 1e-3))+" of "+named(c.Route)
			if f.Does().Delays && stall < length {
				key, turn = w.at(f, "delay"),
					turn+fmt.Sprintf(", or raise the delay to %s",
						roundUp(time.Duration(1.3*float64(c.Limit)/max(rate, 1e-3)*float64(time.Second))))
			}
			w.weak("limit", key, turn, "%s holds each of %.3g calls/s up for %s, so that %s in progress, and the limit is %d",
				w.at(f, ""), rate, short(min(stall, length)), expected(filled, "call is", "calls are"), c.Limit)
		}
		if c.Limit > 0 && stall > 0 {
			rejected += max(0, rate*length.Seconds()-float64(c.Limit)*max(1, length.Seconds()/stall.Seconds()))
		} else {
			rejected += rate * length.Seconds()
		}
	}
	if c.RejectsWithin > 0 && rejected < needTurnAway {
		w.weak("rejects_within", w.RateKey, "offer more while "+w.at(last(slow), "")+" is in force, or let it last longer",
			"%s find it full, and at least %d are needed for a 99th percentile", expected(rejected, "call would", "calls would"),
			needTurnAway)
	}
}

// weighUnaffected asks for requests of the other routes before and during the
// faults.
func (c Bulkhead) weighUnaffected(w *weighing, faults []PlannedFault) {
	first, index := w.first()
	for i, route := range append([]string{c.Route}, c.Unaffected...) {
		part := fmt.Sprintf("unaffected[%d]", i-1)
		before := w.calls(Links{c.Link}, route, 0, first)
		during := 0.0
		for _, f := range faults {
			during += w.calls(Links{c.Link}, route, f.Injected, f.Healed)
		}
		if i == 0 {
			during = math.Inf(1) // only the time before is asked of it
		}
		switch {
		case before < needBaseline && i == 0:
			c.unreturned(w, true, true, fmt.Sprintf("chaos[%d].at", index), "inject it later, or offer more",
				"%s of %s due before the first fault, and at least %d are needed for a baseline", dueText(before), named(route),
				needBaseline)
		case before < needBaseline:
			w.weak(part, fmt.Sprintf("chaos[%d].at", index), "inject it later, or offer more",
				"%s of %s due before the first fault, and at least %d are needed for a baseline", dueText(before), named(route),
				needBaseline)
		case during < needBaseline:
			f := last(faults)
			w.weak(part, w.at(f, "for"), w.longer(f, during, needBaseline),
				"%s of %s due while a fault is in force on %q, and at least %d are needed", dueText(during), named(route),
				c.Link, needBaseline)
		case during < c.needGoodput():
			f := last(faults)
			w.weak("goodput", w.at(f, "for"), w.longer(f, during, c.needGoodput()),
				"%s of %s due while a fault is in force on %q, and %.0f are needed to show that %.4g%% of its successes are kept",
				dueText(during), named(route), c.Link, c.needGoodput(), 100*c.goodput())
		}
	}
}

// needGoodput is how many requests of another route must succeed, and no other
// one come, to show that it kept its share of goodput.
func (c Bulkhead) needGoodput() float64 {
	share := c.goodput()
	if share >= 1 {
		return 0 // not one may fail, which needs no sample
	}
	return neededFor(share)
}

// unreturned is a weakness of what the time after a healing shows: that places
// are given back in time, and that none is lost.
func (c Bulkhead) unreturned(w *weighing, inTime, lost bool, key, turn, why string, args ...any) {
	if inTime && c.FreedWithin > 0 {
		w.weak("freed_within", key, turn, why, args...)
	}
	if lost && c.Limit > 0 {
		w.weak("leaks", key, turn, why, args...)
	}
}

// weighFreed asks whether the load goes on for long enough after each healing.
func (c Bulkhead) weighFreed(w *weighing, faults []PlannedFault) {
	need := freedWindow + c.FreedWithin
	for _, f := range faults {
		until, key, what := w.End, w.LengthKey, "the load ends"
		overlapped := false
		for _, other := range faults {
			if other.Injected > f.Healed && other.Injected < until {
				until, key, what = other.Injected, w.at(other, "at"), "the next fault comes"
			}
			overlapped = overlapped || other.Injected <= f.Healed && other.Healed > f.Healed
		}
		if left := until - f.Healed; !overlapped && left < need {
			c.unreturned(w, true, left < freedWindow, key, fmt.Sprintf("leave %s or more after the healing at %s",
				roundUp(need+100*time.Millisecond), short(f.Healed)),
				"%s %s after the healing, too soon to see whether places are given back within %s", what, short(left), short(c.FreedWithin))
		}
	}
}
