package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

const (
	freedWindow = 500 * time.Millisecond // over which goodput must be back
	freedShare  = 0.95                   // of its baseline

	// lostAfter is how long after a healing a place that is not free is lost: no
	// call is still on its way by then.
	lostAfter = 5 * time.Second
)

// returnedPlaces is what the time after the healings says of the places of the
// bulkhead: were they given back? The zero one says nothing against it.
type returnedPlaces struct {
	lost, open bool // they were not; that cannot be told
	says       string
	proof      string // the same where it is lost
	ids        []uint64
}

// judgeFreed looks for the route's goodput after each healing.
func (c Bulkhead) judgeFreed(f *finding, link *evidence.Link, own arrivals, fills []saturation) (kept returnedPlaces) {
	before := untouched(f.run, own)
	if before.len() < leastBaseline || countOK(before) == 0 {
		kept.open = true
		kept.says = fmt.Sprintf("%s had only %d requests before the faults, of which %d succeeded; at least %d are needed to tell when "+
			"it is free again: let the faults begin later, or offer more", named(c.Route), before.len(), countOK(before), leastBaseline)
		c.unfreed(f, kept.says)
		return kept
	}
	baseline := goodputOf(f.run, before)
	worst := measure{name: "freed_within", unit: timed, note: c.FreedWithin <= 0, allowed: Bound{High: float64(c.FreedWithin)}}
	judged := 0
	for i, e := range fills {
		until := horizon(f.run)
		if i+1 < len(fills) {
			until = fills[i+1].from
		}
		if !e.healed || until <= e.to {
			continue
		}
		judged++
		after := due(own, e.to, until)
		back := returned(f.run, after, e.to, until, freedWindow, baseline, freedShare)
		m := worst
		m.seen, m.sample, m.hidden = back.after, after.len(), noiseText(f.run.Noise(e.to, until))
		if back.back() {
			f.numbers.AddTime(fmt.Sprintf("freed_%d", i+1), back.from-e.to)
			m.says = fmt.Sprintf("%s was free again %s at %s", named(c.Route), back.text(e.to), short(e.to))
			m.ids = failures(due(after, e.to+c.FreedWithin, back.from))
		} else {
			lost := c.notBack(f.run, link, e, after, until, back)
			m.says, m.refutes, m.ids = lost.says, lost.proof, lost.ids
			kept = worse(kept, lost)
		}
		if judged == 1 || m.seen.High > worst.seen.High || m.seen.High == worst.seen.High && m.seen.Low > worst.seen.Low {
			worst = m
		}
	}
	switch {
	case judged == 0:
		kept.open, kept.says = true, "the evidence ends before a fault was healed: whether places are given back cannot be told: "+
			"let the load go on for longer than the faults"
		c.unfreed(f, kept.says)
	case c.FreedWithin <= 0:
		f.remark("freed_within", "%s", worst.says)
	default:
		worst.allowed = atMost(c.FreedWithin)
		f.rule(worst)
	}
	return kept
}

// unfreed says that it cannot be told how soon places are free again, where
// that was claimed.
func (c Bulkhead) unfreed(f *finding, why string) {
	if c.FreedWithin > 0 {
		f.open("freed_within", "%s", why)
	}
}

// notBack says what it means that goodput did not come back before the next
// fault or the end: after a while places are lost.
func (c Bulkhead) notBack(
	run *evidence.Run, link *evidence.Link, e saturation, after arrivals, until time.Duration, back comeback,
) returnedPlaces {
	p := returnedPlaces{open: true}
	p.says = fmt.Sprintf("%s was not back when the evidence after the healing at %s ended %s later",
		named(c.Route), short(e.to), short(until-e.to))
	from := e.to + max(c.FreedWithin, freedWindow)
	rest := due(after, from, until)
	if rest.len() == 0 {
		return p
	}
	busy, _ := profileOver(run, link, asSeen).most(from, until)
	share := float64(countOK(rest)) / float64(rest.len())
	p.proof = fmt.Sprintf("places were not given back: from %s after the healing at %s on only %.3g%% of %s of %s succeeded, with at "+
		"most %d calls in progress on %s",
		short(from-e.to), short(e.to), 100*share, were(rest.len(), "request", "requests"), named(c.Route), busy, c.Link)
	p.ids = failures(rest)
	p.lost = back.after.Low >= float64(lostAfter)
	return p
}

// worse is what two healings say of the places together.
func worse(a, b returnedPlaces) returnedPlaces {
	if a.lost || a.open && !b.lost {
		return a
	}
	return b
}
