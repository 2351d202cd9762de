package judge

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Decorrelated jitter (Brooker, "Exponential Backoff And Jitter", 2015): each
// wait lies evenly between base and three times the wait before, at most cap;
// the first one between base and three times that.

// judgeDecorrelated rules on base, by both ends of the first waits, on the cap,
// and on how evenly each wait lies in the range that the one before it leaves.
func (c Backoff) judgeDecorrelated(f *finding, run *evidence.Run, byRank []waits, all []scatter, ways hops, behind time.Duration) {
	first := all[0]
	var later waits
	for _, w := range byRank {
		later.all, later.ends = append(later.all, w.all...), later.ends+w.ends
	}
	whole := scatterOf(run, later, 0, ways, behind)
	top, known := capOf(whole)
	base := []figure{{first.low, first, 0}}
	if longest := float64(first.gaps[len(first.gaps)-1]); c.Cap == 0 || longest < top.Low || math.IsInf(top.High, 1) {
		base = append(base, figure{first.low.plus(1, first.width).each(1.0 / triple), first, 1.0 / triple})
	}
	f.setting(measure{name: "base", unit: timed, allowed: about(c.Base, grain(c.Base))}, base, func(of figure) string {
		return fmt.Sprintf("the first waits say that base is %s (%d of them, half no longer than %s)",
			timed.span(of.Interval), first.n, short(first.middle))
	})
	if c.Cap > 0 {
		f.setting(measure{name: "cap", unit: timed, allowed: about(c.Cap, grain(c.Cap))}, []figure{{top, whole, 1}},
			func(of figure) string {
				if math.IsInf(of.High, 1) {
					return fmt.Sprintf("no cap was seen: the longest of %d waits are as long as any", whole.n)
				}
				return fmt.Sprintf("the longest waits are all of %s", timed.span(of.Interval))
			})
	} else if !known {
		f.open("cap", "whether the waits have a cap, though none is claimed, is hidden by %s:"+
			" longer waits, or a machine of its own, would tell",
			noiseText(whole.noise))
	} else if !math.IsInf(top.High, 1) {
		f.rule(measure{
			name: "cap", unit: timed, seen: top, allowed: Bound{math.MaxInt64, math.Inf(1)}, sample: whole.n, ids: whole.ids,
			says: "no cap is claimed", refutes: fmt.Sprintf("the longest waits are all of %s, as a cap makes them, and none is claimed",
				timed.span(top)),
		})
	}
	if len(all) == 1 {
		f.open("law", "only first waits were seen often enough: that the next ones depend on them cannot be told: "+
			"let the fault last for longer than they take")
	}
	c.judgeCorrelation(f, byRank, first, top)
}

// capOf is at which length many of the waits lie together, the longest of all;
// no less than that where they do not. It is false if noise hides which.
func capOf(s scatter) (top Interval, known bool) {
	n := len(s.gaps)
	longest := s.gaps[n-1-min(max(2, n/100), n-1)]
	known = 10*s.noise <= longest
	i, _ := slices.BinarySearch(s.gaps, longest-2*s.noise-longest/50)
	if n-i < max(8, n/12) || !known {
		return Interval{max(0, float64(longest-s.noise)), math.Inf(1)}, known
	}
	return Interval{float64(longest - s.noise), float64(longest)}, known
}

// judgeCorrelation compares each wait with the range that the one before leaves
// it. Of those that the cap may have cut nothing is known.
func (c Backoff) judgeCorrelation(f *finding, byRank []waits, first scatter, top Interval) {
	base := float64(first.gaps[0])
	var shares []float64
	var ids []uint64
	ends, sum := 0, 0.0
	for i, w := range byRank {
		for _, x := range w.all {
			before := float64(x.before)
			if i == 0 {
				before = base
			}
			upper := triple * before
			if before <= 0 || upper <= base || c.Cap > 0 && upper > top.Low {
				continue
			}
			sum += upper - base
			shares, ids = append(shares, (float64(x.gap())-base)/(upper-base)), append(ids, x.id)
		}
		if len(w.all) > 0 { // else it is where attempts are used up
			ends += w.ends
		}
	}
	n := len(shares)
	if n < leastWaits {
		f.open("law", "only %s not cut by the cap: at least %d are needed to tell the law"+moreFail,
			were(n, "wait was", "waits were"), leastWaits)
		return
	}
	d := uniformDistance(shares)
	room := kolmogorovRoom/math.Sqrt(float64(n)) + float64(first.noise)/2/(sum/float64(n)) + float64(ends)/float64(n+ends)
	f.numbers.Add("ks_distance", d)
	f.numbers.Add("ks_p", kolmogorov(n, d))
	f.rule(measure{
		name: "law", unit: times, seen: Interval{max(0, d-room), min(1, d+room)}, allowed: atMost(uneven), sample: n, ids: ids,
		says: fmt.Sprintf("%d waits lie between base and %d times the one before, evenly but for a distance of %.2f (Kolmogorov–Smirnov)",
			n, triple, d),
		refutes: fmt.Sprintf("%d waits do not lie evenly between base and %d times the one before:"+
			" the distance is %.2f (Kolmogorov–Smirnov)",
			n, triple, d),
		settle: "more calls that fail, or longer waits, would tell",
	})
}
