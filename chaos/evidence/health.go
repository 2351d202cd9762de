package evidence

import (
	"fmt"
	"time"
)

// lateBy is how late the harness may send without an explanation. From there on
// it is visible next to the latencies that claims bound.
const lateBy = LeastNoise

// Problems says why the harness was not well in [from, to]; nil means that it
// was. Each is a sentence with its figure. What was lost counts whenever it was.
func (r *Run) Problems(from, to time.Duration) []string {
	var problems []string
	var lost uint64
	for _, n := range r.Lost {
		lost += n
	}
	if lost > 0 {
		problems = append(problems, fmt.Sprintf("%d evidence records were lost: counts are lower bounds", lost))
	}
	var unsent uint64
	var worst Tick
	seconds, full := 0, 0
	for _, t := range r.Ticks {
		if t.At < from || t.At-time.Second > to {
			continue
		}
		unsent += t.Unsent
		if t.Pressure >= saturated {
			full++
		}
		if t.LateP99 > Seconds(max(lateBy, 2*t.HiccupMax.Duration())) {
			seconds++
			if t.LateP99 > worst.LateP99 {
				worst = t
			}
		}
	}
	if unsent > 0 && !r.Skips {
		problems = append(problems, fmt.Sprintf("%d arrivals were due but never sent", unsent))
	}
	if seconds > 0 {
		problems = append(problems, fmt.Sprintf(
			"requests were sent late in %d s of the run, by the harness's own doing: by %v (p99) at %v, where the host's hiccups were at most %v; the load is too much for this machine",
			seconds, round(worst.LateP99), worst.At.Round(time.Second), round(worst.HiccupMax)))
	}
	if full > 0 {
		problems = append(problems, fmt.Sprintf("the machine's cores were taken in %d s of the run: some thread was waiting for one nearly all the time, so times may be too long by up to %v", full, saturatedNoise))
	}
	return problems
}

func round(s Seconds) time.Duration { return s.Duration().Round(100 * time.Microsecond) }
