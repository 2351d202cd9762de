package judge

import (
	"math"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// How sure a share must be, in standard deviations, that is taken from a sample:
// to hold by it, one false in forty at the very bound; to be refuted by it, one
// in seven hundred, for a ruling looks at many.
const (
	sureToHold   = 1.96
	sureToRefute = 3
)

// upset is the shortest stall of the host that is taken to make calls fail: systems have
// timeouts of that size.
const upset = 100 * time.Millisecond

// goodputOf is the share of the requests of a stretch that the system serves
// well, of which these are a sample. At least: what failed, failed by the
// system's doing. At most: an arrival that was never sent, or failed while the
// host stood still, is left out.
func goodputOf(run *evidence.Run, samples arrivals) Interval {
	ok, n, excused := countOK(samples), samples.len(), 0
	for _, s := range samples.all() {
		if s.Outcome != load.OK && (s.Outcome.Ours() || run.Noise(s.Intended, s.Done) >= upset) {
			excused++
		}
	}
	low, _ := scoreInterval(ok, n, sureToHold)
	_, high := scoreInterval(ok, n-excused, sureToRefute)
	return Interval{low, high}
}

// kept is what part of one figure another one is.
func kept(before, after Interval) Interval {
	if before.High == 0 {
		return anything()
	}
	part := Interval{after.Low / before.High, math.Inf(1)}
	if before.Low > 0 {
		part.High = max(part.Low, after.High/before.Low)
	}
	return part
}

// failures lists the requests that did not end well.
func failures(samples arrivals) []uint64 {
	var ids []uint64
	for _, s := range samples.all() {
		if s.Outcome != load.OK {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
