package judge

import (
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
// in is taken from the way that differs less, for the same reason.
type transit struct {
	typical time.Duration // half of the waits are longer by no more than this
	most    time.Duration // 90% of them are
	tail    time.Duration // 99% of them are
	known   bool          // false if too few requests passed to tell
}

const (
	leastHops    = 50                     // ways that it takes to tell how late hops are
	leastTypical = 100 * time.Microsecond // timers are no more exact than that
	leastTail    = time.Millisecond
)

// transitOf reads the ways of the requests of the calls that were sent in
// [from, to], while the host was not saturated. Claims share it.
func transitOf(run *evidence.Run, all *calls, from, to time.Duration) transit {
	type key struct {
		hops     *calls
		from, to time.Duration
	}
	return evidence.Beside(run, key{all, from, to}, recordsOf(run.Ticks), func() transit {
		return hopsOf(run, all, from, to)
	})
}

func hopsOf(run *evidence.Run, all *calls, from, to time.Duration) transit {
	there, back := make([]time.Duration, 0, all.len()), make([]time.Duration, 0, all.len())
	for c := range all.all() {
		s, ok := run.Sample(c.id())
		if !ok || s.Outcome == load.Unsent || s.Sent < from || s.Sent > to {
			continue
		}
		if way := c.at(0).Begin - s.Sent; way >= 0 {
			there = append(there, way)
		}
		if way := s.Done - c.last().End; way >= 0 && answered(s) {
			back = append(back, way)
		}
	}
	if len(there) < leastHops || len(back) < leastHops {
		return transit{}
	}
	slices.Sort(there)
	slices.Sort(back)
	at := func(way []time.Duration, q float64) time.Duration { return way[int(q*float64(len(way)-1))] }
	best := there
	if at(back, 0.9)-back[0] < at(there, 0.9)-there[0] {
		best = back
	}
	common := 2 * min(there[0], back[0])
	timer := time.Duration(0) // how late a thread that sleeps wakes up
	for _, t := range run.TicksIn(from, to) {
		if t.Pressure < load.Crowded {
			timer = max(timer, t.HiccupP99.Duration())
		}
	}
	return transit{
		typical: max(leastTypical, common+2*(at(best, 0.5)-best[0])),
		most:    max(leastTypical, common+2*(at(best, 0.9)-best[0])),
		tail:    max(leastTail, common+2*(at(best, 0.99)-best[0])+timer),
		known:   true,
	}
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
