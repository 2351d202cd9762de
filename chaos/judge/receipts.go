package judge

import (
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// answerReceipts knows which answers may have been of no use to their caller, although the
// link passed them on whole: those that a fault has spoilt or made up, whose
// body may say that the call failed whatever the status; and those that it
// held up for as long as the callers were seen to wait. Such a caller gives up
// while the answer is on its way to it.
type answerReceipts struct {
	run    *evidence.Run
	faults []evidence.Injection
	waited []time.Duration // how long callers waited until they left, ordered
	within time.Duration   // how near to one of them a duration is the same
}

// receiptsOf reads link, which is what the links of a claim saw.
func receiptsOf(run *evidence.Run, links Links, link *evidence.Link, noise time.Duration) answerReceipts {
	h := answerReceipts{run: run, within: noise}
	for _, f := range run.Faults {
		if links.onPath(run, f) {
			h.faults = append(h.faults, f)
		}
	}
	for i := range link.Exchanges {
		if x := &link.Exchanges[i]; x.Ending == evidence.CallerGone {
			h.waited = append(h.waited, x.Duration())
		}
	}
	slices.Sort(h.waited)
	return h
}

// unsure reports whether the caller may not have had this answer.
func (h answerReceipts) unsure(x *evidence.Exchange) bool {
	if x.Ending == evidence.Injected {
		return true
	}
	touched := false
	for _, f := range h.faults {
		if !f.Touched(x) {
			continue
		}
		touched = true
		if f.Does().Spoils {
			return true
		}
	}
	i, _ := slices.BinarySearch(h.waited, x.Duration()-h.within)
	return touched && i < len(h.waited) && h.waited[i] <= x.Duration()+h.within
}

// gaveUpUnseen is from what noise of the host on a caller's own timeout may
// have ended its wait for an answer that was on its way: the link saw a
// success, the caller did not.
const gaveUpUnseen = 100 * time.Millisecond

// surely reports whether the caller had the answer when it began its next attempt:
// it cannot have given up on it, because it was seen to wait for longer than the
// answer can have taken to reach it, or because nothing kept it from reading it.
func (h answerReceipts) surely(x *evidence.Exchange, next time.Duration) bool {
	noise := h.run.Noise(x.Begin, next)
	if len(h.waited) == 0 {
		return noise <= gaveUpUnseen
	}
	return noise <= gaveUpUnseen || x.Duration()+noise < h.waited[0]
}
