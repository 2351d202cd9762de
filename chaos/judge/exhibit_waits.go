package judge

import (
	"fmt"
	"math"
	"time"
)

// waitsOf are the waits before each retry. Those of the first ranks have been measured.
func (c Backoff) waitsOf(byRank []waits, measured []scatter) Exhibit {
	shown := Waits{Link: c.Link, Retries: []Wait{}}
	for i, w := range byRank {
		switch {
		case len(w.all) == 0:
			continue
		case len(shown.Retries) == MaxRanks:
			shown.More += len(w.all)
			continue
		}
		lower, upper := c.within(i + 1)
		var half time.Duration
		if i < len(measured) {
			half = measured[i].middle
		} else {
			half = percentile(w.gaps(), 0.5)
		}
		shown.Retries = append(shown.Retries, histogramOf(w.all, i+1, half, lower, upper, 0))
	}
	if len(shown.Retries) == 0 {
		return Exhibit{}
	}
	first := shown.Retries[0]
	return Exhibit{Kind: KindWaits, Waits: &shown, Title: fmt.Sprintf("half of %s waited no longer than %s, where %s is declared",
		were(first.Sample, "first retry", "first retries"), short(time.Duration(first.Median*1e6)), c.rangeOf(1))}
}

// rangeOf prints where the law has the waits of a rank.
func (c Backoff) rangeOf(rank int) string { return ranging(c.within(rank)) }

// herdOf is how the calls of a cohort came back, in bins of at least the herd's own.
func (c Backoff) herdOf(h herd) Exhibit {
	gaps := waits{all: h.cohort}.gaps()
	lower, upper := c.within(h.rank)
	return Exhibit{
		Kind: KindWaits, Part: "herd",
		Title: fmt.Sprintf("of %d calls that failed together at %s, %d were retried in the same %s",
			len(h.cohort), short(h.cohort[0].after.End), h.peak, short(bin)),
		Waits: &Waits{Link: c.Link, Retries: []Wait{histogramOf(h.cohort, h.rank, ofOrdered(gaps, 0.5), lower, upper, bin)}},
	}
}

// histogramOf counts the waits of a rank in bins of one width, least or more. Far from what
// is declared and from half of the waits they are counted together, so that a stray or two
// leave something to see of the others.
func histogramOf(all []wait, rank int, half, lower, upper, least time.Duration) Wait {
	w := Wait{Retry: rank, Bins: []Bin{}, Median: timed.written(float64(half)), Sample: len(all),
		Allowed: timed.inFile(Bound{float64(lower), float64(upper)})}
	from, to := time.Duration(math.MaxInt64), time.Duration(0)
	for _, x := range all {
		from, to = min(from, max(0, x.gap())), max(to, x.gap())
	}
	to = min(to, max(upper+upper/4, 4*half))
	width := widthOf(from, to, least)
	first := int(from / width)
	counts := make([]int, int(max(from, to)/width)-first+1)
	for _, x := range all {
		if i := int(max(0, x.gap())/width) - first; i < len(counts) {
			counts[i]++
		} else {
			w.Longer++
		}
	}
	for i, n := range counts {
		edge := float64(width) * float64(first+i)
		w.Bins = append(w.Bins, Bin{timed.written(edge), timed.written(edge + float64(width)), n})
	}
	return w
}

// widthOf is the least round width of which MaxBins reach from one wait to another.
func widthOf(from, to, least time.Duration) time.Duration {
	return round(max(least, 100*time.Microsecond), func(width time.Duration) bool { return int(to/width)-int(from/width) < MaxBins })
}

// round is the first of 1, 2, 5, 10, 20, ... times a length that is long enough.
func round(length time.Duration, enough func(time.Duration) bool) time.Duration {
	for tens := length; ; tens *= 10 {
		for _, times := range []time.Duration{1, 2, 5} {
			if enough(times * tens) {
				return times * tens
			}
		}
	}
}
