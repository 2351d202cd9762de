package judge

import (
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

// quantile is where the q-quantile of the response times of these requests is.
//
// At most: what was measured, which the host's noise and late sends can only
// have made longer; an arrival that was never sent took for ever.
//
// At least: what clearly more than a share 1−q of them exceed, all along and not
// in a burst or two, by their service times less the noise of their own time.
// An arrival that was never sent waited as long as it did, and is left out where
// that tells less.
func quantile(run *evidence.Run, samples []load.Sample, q float64) Interval {
	most := make([]time.Duration, 0, len(samples))
	all, sent := make([]reading, 0, len(samples)), make([]reading, 0, len(samples))
	for _, s := range samples {
		if s.Outcome == load.Unsent {
			most = append(most, math.MaxInt64)
			all = append(all, reading{s.Intended, s.ResponseTime()})
			continue
		}
		most = append(most, s.ResponseTime())
		r := reading{s.Intended, max(0, s.ServiceTime()-blur(run, s.Intended, s.Done))}
		all, sent = append(all, r), append(sent, r)
	}
	high := float64(percentile(most, q))
	if high == math.MaxInt64 {
		high = math.Inf(1)
	}
	return Interval{min(float64(max(exceeded(all, q), exceeded(sent, q))), high), high}
}

// reading is a figure and the moment that it is of.
type reading struct{ at, value time.Duration }

// exceeded is the greatest value that clearly more than a share 1−q of the
// readings reach, in at least leastSlices slices of time and in a quarter of
// all; 0 if there is none.
func exceeded(readings []reading, q float64) time.Duration {
	n := len(readings)
	enough := sort.Search(n+1, func(k int) bool { low, _ := scoreInterval(k, n, sureToRefute); return low > 1-q })
	if n == 0 || enough > n {
		return 0
	}
	values, worst := make([]time.Duration, 0, n), map[time.Duration]time.Duration{}
	for _, r := range readings {
		values = append(values, r.value)
		worst[r.at/slice] = max(worst[r.at/slice], r.value)
	}
	slices.Sort(values)
	var struck []time.Duration
	for _, value := range worst {
		struck = append(struck, value)
	}
	slices.Sort(struck)
	along := max(leastSlices, (len(struck)+3)/4)
	if along > len(struck) {
		return 0
	}
	return min(values[n-enough], struck[len(struck)-along])
}

// slower lists the requests whose response took longer than so long.
func slower(samples []load.Sample, limit time.Duration) []uint64 {
	var ids []uint64
	for _, s := range samples {
		if s.ResponseTime() > limit {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// persistently tells whether clearly more than 1% of the samples took longer
// than limit, and did so all along and not in a few bursts: a stall of the
// host strikes many samples at once, which are then no independent proof.
func persistently(samples []load.Sample, limit time.Duration) (slow []uint64, proven bool) {
	all, struck := make(map[time.Duration]bool), make(map[time.Duration]bool)
	for _, s := range samples {
		all[s.Intended/slice] = true
		if s.ResponseTime() > limit {
			slow = append(slow, s.ID)
			struck[s.Intended/slice] = true
		}
	}
	low, _ := scoreInterval(len(slow), len(samples), 3)
	return slow, low > 0.01 && len(struck) >= 3 && 4*len(struck) >= len(all)
}
