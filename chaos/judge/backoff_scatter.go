package judge

import (
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// scatter is where the real waits of one rank lie, by what was measured of them.
//
// A measured wait g is never shorter than the real one t, but for its blur, and
// longer by what the host adds. So the least and the greatest of the real ones
// are found from either side:
//
//	low.High    no host makes a wait shorter: the least g, less a hundredth that may be strays
//	low.Low     the least g less what the host adds to most, and less the gap that
//	            chance leaves between the least of n and where they begin
//	high.High   the greatest g, less the strays and those that a stall held up,
//	            and more by what chance and the waits that are missing leave
//	high.Low    the same g less what the host adds to 99% of all, or less than that
//	            where it cannot have moved so many beyond the real end
//
// What chance leaves is that of waits which are spread evenly. Whether they are
// is measured besides, see evenness.
type scatter struct {
	rank   int // from 1
	n      int
	gaps   []time.Duration // ordered; those of calm moments, where there are enough
	ids    []uint64
	low    Interval // the least wait
	width  Interval // from the least to the greatest
	high   Interval // the greatest, of waits that begin at 0
	noise  time.Duration
	late   delays
	worst  time.Duration // the most that the host may have added to any wait
	middle time.Duration // half of the measured ones are no longer
}

const (
	leastWaits = 20   // waits of one rank to judge them at all
	calmShare  = 0.25 // so many of the waits must be from calm moments to judge by them alone
	deviations = 2.58 // of the normal law, beyond which a figure lies once in 200 times to either side
	rare       = 0.005
)

// scatterOf measures the waits of a rank. Where the host let sleepers wake up
// later than a tenth of the wait, only what came in calmer seconds counts, and
// where the system was late by a fiftieth of it, what came in calmer moments; where
// there is not enough of that, real waits may be shorter by all that a host that
// has too much to do was seen to add, and that the longest are too long is proven
// by nothing.
func scatterOf(run *evidence.Run, w waits, rank int, h hops, behind time.Duration) scatter {
	s := scatter{rank: rank, worst: behind, middle: percentile(w.gaps(), 0.5)}
	quiet, best := waits{ends: w.ends}, waits{ends: w.ends}
	for _, x := range w.all {
		if calm(run, x.after.End, x.begin, s.middle/10) {
			quiet.all = append(quiet.all, x)
			if !h.rushed(x, s.middle/50) {
				best.all = append(best.all, x)
			}
		}
	}
	enough := func(part waits) bool {
		return len(part.all) >= leastWaits && float64(len(part.all)) >= calmShare*float64(len(w.all))
	}
	if enough(best) {
		quiet = best
	}
	t := h.around(quiet.all)
	if !enough(quiet) || !t.known {
		quiet, s.worst = w, math.MaxInt64
		t = h.around(w.all)
		t = transit{
			typical: max(t.typical, behind), most: max(t.most, behind), tail: max(t.tail, behind), late: t.late.atLeast(behind),
		}
	}
	s.gaps, s.n, s.noise, s.late = quiet.gaps(), len(quiet.all), t.tail, t.late
	blurred := make([]time.Duration, s.n)
	for i, x := range quiet.all {
		blurred[i] = x.gap() + x.blur
		s.ids = append(s.ids, x.id)
	}
	slices.Sort(blurred)
	s.measure(t, blurred, quiet.ends)
	return s
}

// measure finds where the waits begin and end. blurred are their ends at the most,
// ordered.
func (s *scatter) measure(t transit, blurred []time.Duration, ends int) {
	typical, most, tail := float64(t.typical), float64(t.most), float64(t.tail)
	n := len(s.gaps)
	strays := min(max(2, n/100), n-1)
	least, lowest := float64(s.gaps[0]), float64(blurred[strays])
	top := n - 1 - strays
	greatest, latest := float64(s.gaps[max(top, 0)]), float64(blurred[max(top, 0)])

	// From the least to the greatest of top+1 waits lies a share of the whole
	// that is known but for chance; of what is missing, all may be longer.
	above := float64(n - top) // spacings beyond, of n+1
	missed := min(gammaQuantile(above+float64(ends), deviations)/float64(n+ends+1), 1)
	sure := gammaQuantile(above, -deviations) / float64(n+1)
	span := greatest - least
	s.width = Interval{max(0, span-tail) / (1 - sure), math.Inf(1)}
	s.high = Interval{max(0, greatest-tail) / (1 - sure), math.Inf(1)}
	s.width.Low = max(s.width.Low, span-t.late.pushes(span, int(above), n))
	s.high.Low = max(s.high.Low, greatest-t.late.pushes(greatest, int(above), n))
	if missed < 0.5 {
		s.width.High = (max(0, latest-least) + typical) / (1 - missed)
		s.high.High = max(0, latest) / (1 - missed)
	}
	// Of all waits half are longer by no more than typical, and 90% by no more than
	// most. Among m of them the gap before the first is more than a part x of the
	// width with the chance (1−x)^m.
	gap := min(-math.Log(rare)/float64(n), 0.5) * s.width.High
	s.low = Interval{max(0, least-typical-2*gap, least-most-gap/0.9), max(0, lowest)}
}

// pushes is by how much the few longest of n waits may be longer than any real
// one: if the real ones end further below span than that, there are surely not
// few that the host has moved beyond.
func (l delays) pushes(span float64, few, n int) float64 {
	if len(l) == 0 {
		return span
	}
	const steps = 200
	step := min(span, float64(l[len(l)-1])) / steps
	x := min(span, float64(l[len(l)-1]))
	for x >= step && step > 0 && poissonTail(few, float64(n)*l.beyond(x-step, max(1, span-x+step))) < rare {
		x -= step
	}
	return max(0, x)
}

// gammaQuantile is the quantile of the gamma law of shape k that lies z standard
// deviations of the normal law from its middle (Wilson and Hilferty 1931); never
// negative. It is how many of n evenly spread values lie where k−1 were counted.
func gammaQuantile(k, z float64) float64 {
	root := 1 - 1/(9*k) + z/(3*math.Sqrt(k))
	return k * max(0, root*root*root)
}

// evenness is by how much the cumulative shares of the waits differ from those
// of waits that are spread evenly from the least to the greatest, at the most
// (Kolmogorov and Smirnov). What it may be follows from chance, which leaves
// 1.73/√n at 1 in 200, from the host, which shifts waits by part of their width,
// and from those that are missing. It returns what was measured too.
func (s scatter) evenness(ends int) (d float64, may Interval) {
	n := len(s.gaps)
	least, width := float64(s.gaps[0]), (s.width.Low+min(s.width.High, 2*s.width.Low))/2
	if width <= 0 {
		return 0, Interval{0, 1}
	}
	shares := make([]float64, n)
	for i, g := range s.gaps {
		shares[i] = (float64(g) - least) / width
	}
	d = uniformDistance(shares)
	room := kolmogorovRoom/math.Sqrt(float64(n)) + s.late.beyond(0, width) + float64(ends)/float64(n+ends)
	return d, Interval{max(0, d-room-float64(s.worst)/width), min(1, d+room)}
}

const kolmogorovRoom = 1.73

// settled is what several observations of one figure leave of it. It is false
// if they contradict one another: then it was not one figure.
func settled(all []Interval) (Interval, bool) {
	if len(all) == 0 {
		return Interval{}, false
	}
	one := all[0]
	for _, i := range all[1:] {
		both, ok := one.and(i)
		if one = both; !ok {
			return one, false
		}
	}
	return one, true
}

// over divides two figures that are not negative.
func (i Interval) over(j Interval) Interval {
	q := Interval{0, math.Inf(1)}
	if !math.IsInf(j.High, 1) && j.High > 0 {
		q.Low = i.Low / j.High
	}
	if j.Low > 0 {
		q.High = i.High / j.Low
	}
	return q
}

// plus adds a part of another figure.
func (i Interval) plus(share float64, j Interval) Interval {
	return Interval{i.Low + share*j.Low, i.High + share*j.High}
}

// each scales a figure.
func (i Interval) each(by float64) Interval { return Interval{i.Low * by, i.High * by} }
