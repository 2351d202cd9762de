package judge

import (
	"fmt"
	"slices"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// judgeLeaks rules on how many places were lost: those that the first episode
// of faults took and the last ones took no more, although calls were turned
// away. kept is what the time after the healings says of it.
//
// A single episode shows only that its own last calls were turned away at the
// same number as the first: if they were at fewer, a further one would tell.
func (c Bulkhead) judgeLeaks(f *finding, link *evidence.Link, fills []saturation, kept returnedPlaces) {
	slow := slowest(fills)
	m := measure{name: "leaks", allowed: atMost(0), note: c.Limit <= 0, sample: len(slow)}
	capacity := slow[0].sure
	m.says = fmt.Sprintf("%d episodes of faults filled it with as many calls as the first", len(slow))
	for i, e := range slow[1:] {
		c.lost(&m, link, slow[0], e, capacity, i+2)
	}
	last := slow[len(slow)-1]
	if last.end < capacity && last.rejected.len() >= leastPlateau && m.seen == exactly(0) {
		m.seen.High = float64(capacity - last.end)
		m.says = fmt.Sprintf("it took %d calls at first, and towards the end of the last faults %d", capacity, last.end)
		m.settle = "it may leak, which a further episode of faults would show"
	}
	if below := shrank(last, capacity); below > 0 && m.seen == exactly(0) {
		m.seen.High = float64(below)
		m.says = fmt.Sprintf("it took %d calls at first, but most of the last that it turned away came when no more than %d were in "+
			"progress", capacity, capacity-below)
		m.settle = "it may leak, which a further episode of faults would show"
	}
	switch {
	case kept.lost:
		m.seen, m.says, m.ids = exactly(max(1, capacity)), kept.proof, kept.ids
	case kept.open && m.seen == exactly(0):
		// How many there are is not known where the host hides how many it took.
		m.seen.High, m.says, m.settle = float64(max(1, capacity)), kept.says, "let the load go on for longer after the healing"
	case len(slow) == 1 && m.seen == exactly(0):
		f.remark("leaks", "whether places are lost is shown by a second episode of faults only")
		return
	}
	f.rule(m)
}

// lost compares a later episode of faults with the first: does it still take as
// many calls?
//
// The proof of a leak is a peak, as seen, which a busy host can only raise,
// below the number at which the first episode turned calls away. What is lower
// only when what the host may have added is taken off stays open.
func (c Bulkhead) lost(m *measure, link *evidence.Link, first, e saturation, capacity, episode int) {
	fewer := capacity - e.sure
	if fewer <= 0 || m.seen.Low > 0 {
		return
	}
	m.seen.High = max(m.seen.High, float64(fewer))
	retried := retries(link)
	switch {
	case e.rejected.len() < leastPlateau:
		m.says = fmt.Sprintf("episode %d of the faults did not fill the bulkhead again: %d of %d calls were in progress at most",
			episode, e.peak, capacity)
		m.settle = "offer more load there"
	case retried > 0:
		m.says = fmt.Sprintf("episode %d turned calls away though no more than %d were in progress, %d in the first, but %d calls were "+
			"retried and may have held a place while they waited", episode, e.peak, capacity, retried)
		m.settle = "without retries it would show whether it leaks"
	case !e.plateau():
		m.says = fmt.Sprintf("episode %d turned %d calls away at any number in progress", episode, e.rejected.len())
		m.settle = "something else than the bulkhead did that: look at what else failed then"
	case min(capacity, first.top)-e.peak >= max(2, capacity/10):
		lost := min(capacity, first.top) - e.peak
		m.seen = interval(lost, max(lost, fewer))
		m.says = fmt.Sprintf("the bulkhead leaks: in the first episode of faults it took %d calls, in episode %d no more than %d while "+
			"it turned %d away", capacity, episode, e.peak, e.rejected.len())
		m.ids = idsOf(e.rejected.arrivals)
	default:
		m.says = fmt.Sprintf("episode %d turned %d calls away though hardly more than %d were in progress, %d in the first",
			episode, e.rejected.len(), e.sure, capacity)
		m.settle = "too little to tell a leak from chance: a longer fault, or more load, would tell"
	}
}

// shrank is by how many fewer calls than it took before the last calls of an
// episode were turned away, while the link was busy; 0 if they were not, or if as
// many calls as ever were in progress later: then none was lost, and the system
// gives places back late. It is no proof, for a breaker turns calls away too; a
// further episode tells.
func shrank(e saturation, capacity int) int {
	below, least := 0, capacity-max(2, capacity/10)
	for _, level := range slices.Backward(e.rejected.levels) {
		if int(level) >= capacity {
			break
		}
		if level > 0 && int(level) <= least {
			below++
		}
	}
	if below < leastPlateau {
		return 0
	}
	return capacity - least
}

// retries counts the exchanges beyond the first of each request.
func retries(link *evidence.Link) int {
	n, last := 0, uint64(0)
	for _, i := range link.ByID() {
		id := link.Exchanges[i].ID
		if id == last {
			n++
		}
		last = id
	}
	return n
}

func idsOf(samples arrivals) []uint64 {
	ids := make([]uint64, samples.len())
	for i, s := range samples.all() {
		ids[i] = s.ID
	}
	return ids
}
