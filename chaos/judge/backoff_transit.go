package judge

import (
	"cmp"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// transit is by how much a wait that was measured at the link is longer than
// the real one. Beside its timer a wait has two hops in it: the answer's from
// the relay to its caller, and the next attempt's from there to the relay. Each
// request makes two such hops too, in the same processes and at the same time:
// from the harness through the system to the link, and from the link back. So
// how late the hops of waits are is read off those, and not off a guess of what
// a host may do: on a quiet one it is a fraction of a millisecond, where the
// most that any host may add is 10 ms.
//
// What all of them have in common is taken for twice the shorter of the two ways:
// a system that works before its call, or after it, does so once. What they differ
// in is taken from the way that differs less, for the same reason; but where ways
// to the link take longer than before the faults, the system itself comes late,
// and it does so to its retries too.
type transit struct {
	typical time.Duration // half of the waits are longer by no more than this
	most    time.Duration // 90% of them are
	tail    time.Duration // 99% of them are
	late    delays        // by how much each is, as far as it tells
	known   bool          // false if too few requests passed to tell
}

// delays is the law by which waits are late: its quantiles, evenly from the
// least to the greatest.
type delays []time.Duration

const quantiles = 400

// atLeast is the law where none is late by less.
func (l delays) atLeast(d time.Duration) delays {
	more := delays{d}
	for _, q := range l {
		more = append(more, max(q, d))
	}
	return more
}

// beyond is the share of waits, spread evenly over width, that end up further than
// x beyond it.
func (l delays) beyond(x, width float64) float64 {
	sum := 0.0
	for _, q := range l {
		sum += min(1, max(0, float64(q)-x)/width)
	}
	return sum / float64(max(1, len(l)))
}

const (
	leastHops    = 50                     // ways that it takes to tell how late hops are
	pooled       = 200                    // ways to read those of some waits off
	nearby       = time.Second            // ways are of the same time as a wait
	instant      = 100 * time.Millisecond // in which a system is late or is not
	leastAtOnce  = 10                     // ways in an instant to tell
	leastTypical = 100 * time.Microsecond // timers are no more exact than that
	leastTail    = time.Millisecond
)

// hops are the ways that requests took: there from the harness to the link, back
// from the link to the harness, usual those there before the faults, in order.
type hops struct {
	there, back []way
	usual       []time.Duration
	rushes      map[time.Duration]time.Duration // see rush
	timer       time.Duration                   // how late a thread that sleeps wakes up
}

// way is how long one request took, and when.
type way struct{ at, took time.Duration }

// hopsOf reads the ways of the requests of the calls that were sent in
// [from, to], and how late sleepers woke up while the host was not saturated.
// Claims share it.
func hopsOf(run *evidence.Run, all *calls, from, to time.Duration) hops {
	type key struct {
		hops     *calls
		from, to time.Duration
	}
	return evidence.Memoized(run, key{all, from, to}, recordsOf(run.Ticks), func() hops {
		h := hops{there: make([]way, 0, all.len()), back: make([]way, 0, all.len())}
		for c := range all.all() {
			s, ok := run.Sample(c.id())
			if !ok || s.Outcome == load.Unsent || s.Sent > to {
				continue
			}
			if s.Sent < from {
				h.usual = append(h.usual, max(0, c.at(0).Begin-s.Sent))
				continue
			}
			if at := c.at(0).Begin; at >= s.Sent {
				h.there = append(h.there, way{at, at - s.Sent})
			}
			if at := c.last().End; s.Done >= at && answered(s) {
				h.back = append(h.back, way{at, s.Done - at})
			}
		}
		byTime := func(a, b way) int { return cmp.Compare(a.at, b.at) }
		slices.Sort(h.usual)
		slices.SortFunc(h.there, byTime)
		slices.SortFunc(h.back, byTime)
		h.rush()
		for _, t := range run.TicksIn(from, to) {
			if t.Pressure < load.Crowded {
				h.timer = max(h.timer, t.HiccupP99.Duration())
			}
		}
		return h
	})
}

// rush finds by how much half of the ways there took longer than a tenth did before the
// faults, in each instant that saw enough of them.
func (h *hops) rush() {
	h.rushes = make(map[time.Duration]time.Duration)
	if len(h.usual) < leastHops {
		return
	}
	usual := ofOrdered(h.usual, 0.9)
	same := func(a, b way) bool { return a.at/instant == b.at/instant }
	for all := h.there; len(all) > 0; {
		n := 1
		for n < len(all) && same(all[0], all[n]) {
			n++
		}
		if n >= leastAtOnce {
			h.rushes[all[0].at/instant] = ofOrdered(took(all[:n]), 0.5) - usual
		}
		all = all[n:]
	}
}

// rushed reports whether either end of a wait was in an instant in which the
// system was late by more than so much.
func (h hops) rushed(w wait, within time.Duration) bool {
	return h.rushes[w.after.End/instant] > within || h.rushes[w.begin/instant] > within
}

// whole is by how much waits are longer at any time.
func (h hops) whole() transit {
	if len(h.there) < leastHops || len(h.back) < leastHops {
		return transit{}
	}
	return h.transit(took(h.there), took(h.back))
}

// around is by how much those waits are longer: the ways that count are those of
// about the same time, as the waits of a rank may all be of the moment in which a
// system that is back has everything to do.
func (h hops) around(all []wait) transit {
	if len(h.there) < leastHops || len(h.back) < leastHops {
		return transit{}
	}
	there := nearest(h.there, all, func(w wait) time.Duration { return w.begin })
	back := nearest(h.back, all, func(w wait) time.Duration { return w.after.End })
	return h.transit(there, back)
}

// transit follows from how long ways took; from those of one direction if there
// are none of the other.
func (h hops) transit(there, back []time.Duration) transit {
	if len(there) == 0 && len(back) == 0 {
		return transit{}
	}
	out, home := least(h.there), least(h.back)
	best, floor := there, out
	if len(there) == 0 || len(back) > 0 && ofOrdered(back, 0.9)-home < ofOrdered(there, 0.9)-out {
		best, floor = back, home
	}
	common := 2 * min(out, home)
	late := func(q float64) time.Duration {
		by := ofOrdered(best, q) - floor
		if len(h.usual) >= leastHops && len(there) > 0 {
			by = max(by, ofOrdered(there, q)-ofOrdered(h.usual, q))
		}
		return common + 2*by
	}
	law := make(delays, quantiles)
	for i := range law {
		q := float64(i) / (quantiles - 1)
		law[i] = max(leastTypical, late(q))
		if q >= 0.99 {
			law[i] += h.timer
		}
	}
	return transit{
		late:    law,
		typical: max(leastTypical, late(0.5)),
		most:    max(leastTypical, late(0.9)),
		tail:    max(leastTail, late(0.99)+h.timer),
		known:   true,
	}
}

// took lists how long ways took, in order.
func took(all []way) []time.Duration {
	list := make([]time.Duration, len(all))
	for i, w := range all {
		list[i] = w.took
	}
	slices.Sort(list)
	return list
}

// least is the shortest of ways.
func least(all []way) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.MinFunc(all, func(a, b way) int { return cmp.Compare(a.took, b.took) }).took
}

// nearest lists, in order, how long the ways took that are next to the waits in
// time, each as often as there are waits of its time. It has none where more than
// a tenth of the waits have no way within a second.
func nearest(ways []way, waits []wait, when func(wait) time.Duration) []time.Duration {
	each := (pooled + len(waits) - 1) / max(1, len(waits))
	list := make([]time.Duration, 0, each*len(waits))
	alone := 0
	for _, w := range waits {
		at := when(w)
		i, _ := slices.BinarySearchFunc(ways, at, func(w way, at time.Duration) int { return cmp.Compare(w.at, at) })
		from, to := max(0, i-each/2), min(len(ways), i+(each+1)/2)
		n := len(list)
		for _, way := range ways[from:to] {
			if d := way.at - at; d > -nearby && d < nearby {
				list = append(list, way.took)
			}
		}
		if len(list) == n {
			alone++
		}
	}
	if 10*alone > len(waits) {
		return nil
	}
	slices.Sort(list)
	return list
}

// calm reports whether the host let processes run on time in all of [from, to]: a
// hundredth of the wake-ups were later than so long by no more than that, and
// not all of a second some thread waited for a core.
func calm(run *evidence.Run, from, to, within time.Duration) bool {
	for _, t := range run.TicksIn(from, to) {
		if t.Pressure >= load.Crowded || t.HiccupP99.Duration() > within {
			return false
		}
	}
	return true
}
