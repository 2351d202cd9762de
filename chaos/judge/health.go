package judge

import (
	"fmt"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// Whether the harness was well is known in one place, load.Checkup. What that
// means is asked here, per claim and for the stretch of the run that it rests
// on: one trouble leaves a claim with no evidence, another makes its intervals
// wider, a third does not touch it. A claim that holds in a run whose harness
// was unwell says why it does.

// leaning is on what a claim rests, beside the counts that all rest on.
type leaning uint8

const (
	onDue   leaning = 1 << iota // times since requests were due
	onTimes                     // times of the link, or between callers and link, which the host's noise blurs
	onLoad                      // that the load was the one that was declared
)

// lateLoad is how late a hundredth of the requests may have been sent for the
// load to be the one that was declared.
const lateLoad = 100 * time.Millisecond

// blind says why there is no evidence of what happened in [from, to]: "" if
// there is.
func blind(run *evidence.Run, from, to time.Duration, leans leaning) string {
	if end := horizon(run); run.Partial && end < to {
		return fmt.Sprintf("the run was cut short: its evidence is whole only up to %s, and the claim needs it up to %s", short(end), short(to))
	}
	var lost uint64
	for _, n := range run.Lost {
		if run.Partial && n == 1 {
			continue // a torn last line, which lies beyond the horizon
		}
		lost += n
	}
	for _, t := range run.TicksIn(from, to) {
		lost = max(lost, t.Lost)
	}
	if lost > 0 {
		return fmt.Sprintf("%d evidence records were lost, so that counts are only lower bounds", lost)
	}
	if late, at := lateness(run, from, to); leans&onLoad != 0 && late > lateLoad {
		return fmt.Sprintf("the harness was late: 1%% of the requests around %s were sent more than %s after they were due, by its own doing, so that the load was another one", short(at), short(late))
	}
	return ""
}

// lateness is how late the harness itself sent a hundredth of the requests in
// the worst second of [from, to] beyond what the host's hiccups explain, and
// when that was. Times since due may be longer by it.
func lateness(run *evidence.Run, from, to time.Duration) (late, at time.Duration) {
	for _, t := range run.TicksIn(from, to) {
		if l := t.LateP99.Duration(); l > late && l > 2*t.HiccupMax.Duration() {
			late, at = l, t.At
		}
	}
	return late, at
}

// despite says why a claim that rests on [from, to] holds although the harness
// was not well in the run; "" if it was.
func despite(run *evidence.Run, from, to time.Duration, leans leaning) string {
	if len(run.Problems(0, run.End)) == 0 {
		return ""
	}
	inside := run.Problems(from, to)
	if len(inside) == 0 {
		return fmt.Sprintf("the harness was well from %s to %s, which it rests on", short(from), short(to))
	}
	var whys []string
	said := map[string]bool{}
	for _, p := range inside {
		if why := stands(run, from, to, leans, p.Trouble); why != "" && !said[why] {
			said[why] = true
			whys = append(whys, why)
		}
	}
	return strings.Join(whys, "; ")
}

// stands says why a trouble does not shake what held: it does not bear on it,
// or is within the intervals already.
func stands(run *evidence.Run, from, to time.Duration, leans leaning, trouble load.Trouble) string {
	switch trouble {
	case load.TroubleLate, load.TroubleBusy, load.TroublePaused, load.TroubleLimited:
		if leans&onDue == 0 {
			return "requests were sent late, but nothing in it counts from when they were due"
		}
		return "requests were sent late, which makes times since they were due longer, and those met their bounds all the same"
	case load.TroubleStalled, load.TroubleCrowded:
		if leans == 0 {
			return "the host was busy, but nothing in it is a time"
		}
		return fmt.Sprintf("the host was busy, and the %s that it may have added are in every interval", short(run.Noise(from, to)))
	case load.TroubleStarved, load.TroubleUnsent:
		return "arrivals that were never sent count as failed, or were not needed for it"
	case load.TroubleFew:
		return "fewer connections than asked for make no claim easier"
	}
	return "" // records that are lost leave no claim held
}
