package judge

import (
	"fmt"
	"slices"
	"time"
)

// worthALook are calls that show what the policy does: one of those with the most attempts, and
// one that was given up after the fewest.
func (c Retry) worthALook(f *finding, t tally) {
	var ids []uint64
	if most := t.mostIDs[int(t.most.Low)]; len(most) > 0 && t.most.Low > 1 {
		ids = append(ids, most[0])
	}
	if len(t.fewestIDs) > 0 && !slices.Contains(ids, t.fewestIDs[0]) {
		ids = append(ids, t.fewestIDs[0])
	}
	f.typical("", fmt.Sprintf("what a call of %g attempts came to", t.most.Low), ids...)
}

// deepest is a call that was retried as often as any, and waited each time.
func (c Backoff) deepest(f *finding, byRank []waits, told []wait) {
	if len(told) > 0 {
		f.typical("retry_after", "a call that was retried after a Retry-After", told[0].id)
	}
	for rank := len(byRank); rank > 0; rank-- {
		if w := byRank[rank-1].all; len(w) > 0 {
			f.typical("", fmt.Sprintf("a call that was retried %s", often(rank)), w[0].id)
			return
		}
	}
}

// turnedAway are a request that an open breaker turned away and the probe that followed, if
// there was one.
func turnedAway(f *finding, all []stayed) {
	for _, c := range all {
		for i, s := range c.openPeriods {
			if i >= len(c.stays) || !c.stays[i].probed {
				f.typical("", "a request that was turned away while it was open", s.first.ID)
				continue
			}
			p := c.stays[i].probe
			f.typical("", fmt.Sprintf("a request that was turned away while it was open, and the probe at %s", short(p.begin)),
				append([]uint64{s.first.ID}, p.ids[:min(1, len(p.ids))]...)...)
			return
		}
	}
}

// longestWait is the request that waited longest of some.
func longestWait(f *finding, waited arrivals) {
	var id uint64
	longest := time.Duration(-1)
	for _, s := range waited.all() {
		if took := s.ServiceTime(); took > longest {
			longest, id = took, s.ID
		}
	}
	f.typical("within", "the caller that waited longest: for "+short(max(0, longest)), id)
}
