package judge

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// slice is how long one stall of the host strikes many requests at once, which
// are then no independent proof.
const slice = 250 * time.Millisecond

// leastSlices is in how many of them, and in one of four of all, something must
// be seen to be the system's.
const leastSlices = 3

// p99 is where the 99th percentile of the response times of these requests is.
//
// At most: what was measured, which the host's noise and late sends can only
// have made longer; an arrival that was never sent took for ever.
//
// At least: what clearly more than a hundredth of them exceed, all along and not
// in a burst or two, by their service times less the noise of their own time.
// An arrival that was never sent waited as long as it did, and is left out where
// that tells less.
func p99(run *evidence.Run, samples ...arrivals) Interval {
	return timesOf(run, samples...).quantile(0.99)
}

// requestTimes is how long requests took, in order: as measured, and without
// what the host may have added.
type requestTimes struct {
	measured  []time.Duration // for ever where a request was never sent
	all, sent []reading
}

// reading is a figure and the moment that it is of.
type reading struct {
	at, value time.Duration
	unsent    bool
}

func timesOf(run *evidence.Run, samples ...arrivals) requestTimes {
	n, unsent := 0, false
	for _, list := range samples {
		n += list.len()
	}
	t := requestTimes{make([]time.Duration, 0, n), make([]reading, 0, n), nil}
	for _, list := range samples {
		for _, s := range list.all() {
			r, measured := reading{s.Intended, s.ResponseTime(), true}, time.Duration(math.MaxInt64)
			if s.Outcome != load.Unsent {
				measured = s.ResponseTime()
				r.value, r.unsent = max(0, s.ServiceTime()-blur(run, s.Intended, s.Done)), false
			}
			t.measured, t.all = append(t.measured, measured), append(t.all, r)
			unsent = unsent || r.unsent
		}
	}
	slices.Sort(t.measured)
	slices.SortFunc(t.all, func(a, b reading) int { return cmp.Compare(a.value, b.value) })
	if t.sent = t.all; unsent {
		t.sent = slices.DeleteFunc(slices.Clone(t.all), func(r reading) bool { return r.unsent })
	}
	return t
}

func (t requestTimes) quantile(q float64) Interval {
	high := float64(ofOrdered(t.measured, q))
	if high == math.MaxInt64 {
		high = math.Inf(1)
	}
	low := exceeded(t.all, q)
	if len(t.sent) < len(t.all) {
		low = max(low, exceeded(t.sent, q))
	}
	return Interval{min(float64(low), high), high}
}

// exceeded is the greatest value that clearly more than a share 1−q of the
// readings, which are in order, reach, in at least leastSlices slices of time and
// in a quarter of all; 0 if there is none.
func exceeded(readings []reading, q float64) time.Duration {
	n := len(readings)
	enough := sort.Search(n+1, func(k int) bool { low, _ := scoreInterval(k, n, sureToRefute); return low > 1-q })
	if n == 0 || enough > n {
		return 0
	}
	worst := map[time.Duration]time.Duration{}
	for _, r := range readings {
		worst[r.at/slice] = max(worst[r.at/slice], r.value)
	}
	struck := slices.Sorted(maps.Values(worst))
	along := max(leastSlices, (len(struck)+3)/4)
	if along > len(struck) {
		return 0
	}
	return min(readings[n-enough].value, struck[len(struck)-along])
}

// slower lists the requests whose response took longer than so long.
func slower(limit time.Duration, samples ...arrivals) []uint64 {
	var ids []uint64
	for _, list := range samples {
		for _, s := range list.all() {
			if s.ResponseTime() > limit {
				ids = append(ids, s.ID)
			}
		}
	}
	return ids
}

// ranked is where the q-quantile lies of what the values are a sample of: between
// two of them by their order, with a chance of 95% on either side. With too few
// for that on a side it has no end there: no 99th percentile is known from above
// by fewer than 299.
func ranked(values []time.Duration, q float64) Interval {
	n := float64(len(values))
	if n == 0 {
		return anything()
	}
	ordered := slices.Clone(values)
	slices.Sort(ordered)
	seen := anything()
	half := 1.645 * math.Sqrt(n*q*(1-q))
	if low := int(math.Floor(n*q - half)); low >= 1 {
		seen.Low = float64(ordered[low-1])
	}
	if math.Pow(q, n) > 0.05 {
		return seen
	}
	high := min(int(math.Ceil(n*q+half)), len(ordered)-1)
	seen.High = float64(ordered[high])
	return seen
}

// fewestRanked is how many values tell a 99th percentile from above: 0.99²⁹⁹ is 5%.
const fewestRanked = 299
