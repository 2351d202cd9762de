package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// bin is the stretch in which retries count as one herd, and calls as having
// failed together.
const bin = 10 * time.Millisecond

// herd is what came back of calls that failed together.
type herd struct {
	cohort []wait
	peak   int      // most that were retried within one bin
	times  Interval // that, in terms of an even spread
	width  time.Duration
	rank   int // of the retries
}

// judgeHerd looks at how the retries of calls that failed together come back:
// the fullest 10 ms against an even spread over the claimed range, which is what
// the bound is in terms of. What was counted is the most it may be. Chance makes
// peaks too, and a stall of the host lets waits that end during it begin
// together at its end: at least it is what is left without these.
func (c Backoff) judgeHerd(f *finding, run *evidence.Run, byRank []waits) {
	var worst herd
	seen, cohorts := Interval{}, 0
	for i, w := range byRank {
		lower, upper := c.within(i + 1)
		width := max(upper-lower, bin)
		for _, cohort := range together(w.all) {
			even := float64(len(cohort)) * float64(bin) / float64(width)
			if len(cohort) < leastCohort || even < 5 {
				continue // so few that chance alone makes peaks
			}
			cohorts++
			peak, back := fullest(cohort)
			stalled := 1 + float64(run.Noise(cohort[0].after.End, back))/float64(bin)
			least := float64(peak) - 3.7*math.Sqrt(float64(peak)) // by chance less than once in 10,000 times
			h := herd{cohort, peak, Interval{max(0, least) / stalled / even, float64(peak) / even}, width, i + 1}
			seen.High = max(seen.High, h.times.High)
			if worst.cohort == nil || h.times.Low > seen.Low {
				seen.Low, worst = h.times.Low, h
			}
		}
	}
	f.numbers.Add("herd_cohorts", float64(cohorts))
	if cohorts == 0 {
		f.open("herd", "no %d calls failed at one instant: whether a herd comes back cannot be told;"+
			" a reset of the link under more load would show it",
			leastCohort)
		return
	}
	f.numbers.Add("herd_peak", seen.High)
	f.show(func() Exhibit { return c.herdOf(worst) })
	even := float64(len(worst.cohort)) * float64(bin) / float64(worst.width)
	f.rule(measure{
		name: "herd", unit: times, seen: seen, allowed: atMost(c.Herd), sample: len(worst.cohort), ids: all(worst.cohort),
		says: fmt.Sprintf("calls that failed together came back at no more than %.1f times an even share in any 10 ms", seen.High),
		refutes: fmt.Sprintf("a herd: of %d calls that failed together at %s, %d were retried within the same 10 ms,"+
			" where an even spread over %s makes %.1f",
			len(worst.cohort), short(worst.cohort[0].after.End), worst.peak, short(worst.width), even),
		hidden: "chance and the host's stalls", settle: "more calls that fail at one instant would tell",
	})
}

// together groups waits after calls that failed within one bin.
func together(all []wait) (cohorts [][]wait) {
	rest := slices.Clone(all)
	slices.SortStableFunc(rest, func(a, b wait) int { return cmp.Compare(a.after.End, b.after.End) })
	for len(rest) > 0 {
		n := 1
		for n < len(rest) && rest[n].after.End-rest[0].after.End < bin {
			n++
		}
		cohorts, rest = append(cohorts, rest[:n]), rest[n:]
	}
	return cohorts
}

// fullest returns the most retries of a cohort that began within one bin, and
// when the last of the cohort began.
func fullest(cohort []wait) (peak int, last time.Duration) {
	begins := make([]time.Duration, len(cohort))
	for i, w := range cohort {
		begins[i] = w.begin
	}
	slices.Sort(begins)
	from := 0
	for to := range begins {
		for begins[to]-begins[from] >= bin {
			from++
		}
		peak = max(peak, to-from+1)
	}
	return peak, begins[len(begins)-1]
}
