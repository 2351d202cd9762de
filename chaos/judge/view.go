package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// flush is how far the last records of a run that was cut may lag behind one
// another on disk: samples and exchanges are each written once a second.
const flush = 1500 * time.Millisecond

// span is a stretch of a run, with the faults that make it one.
type span struct {
	from, to time.Duration // to is the horizon while a fault is not healed
	healed   bool          // false if a fault was still in force when the evidence ended
	faults   []evidence.Injection
}

func (s span) length() time.Duration { return s.to - s.from }

// hit reports whether a fault of the span touched the exchange.
func (s *span) hit(x *evidence.Exchange) bool {
	for i := range s.faults {
		if s.faults[i].Touched(x) {
			return true
		}
	}
	return false
}

// episodes merges the times in which the faults that keep selects were really
// in force. Stretches less than gap apart count as one: a system that is still
// busy with the first cannot be judged afresh on the second.
func episodes(run *evidence.Run, gap time.Duration, keep func(evidence.Injection) bool) []span {
	end := horizon(run)
	var all []span
	for _, f := range run.Faults {
		if f.Injected < 0 || f.Injected >= end || !keep(f) {
			continue
		}
		s := span{from: f.Injected, to: f.Healed, healed: true, faults: []evidence.Injection{f}}
		if f.Healed < 0 || f.Healed > end {
			s.to, s.healed = end, false
		}
		s.to = max(s.to, s.from)
		all = append(all, s)
	}
	slices.SortStableFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var merged []span
	for _, s := range all {
		if n := len(merged); n > 0 && s.from-merged[n-1].to <= gap {
			last := &merged[n-1]
			last.to = max(last.to, s.to)
			last.healed = last.healed && s.healed
			last.faults = append(last.faults, s.faults...)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// noEpisode says why there is none where, which begins with a blank if it is not
// empty: no fault came, or the run was cut before its evidence was whole.
func noEpisode(run *evidence.Run, where string, keep func(evidence.Injection) bool) string {
	for _, f := range run.Faults {
		if f.Injected >= 0 && keep(f) {
			return fmt.Sprintf("a fault was in force%s from %s on, but the run was cut, and its evidence is whole only up to %s",
				where, short(f.Injected), short(horizon(run)))
		}
	}
	return "no fault was in force" + where
}

// Clauses that several claims end with when there was nothing to judge: what to turn.
const (
	noLink   = "the run has no link %q: name one that it has"
	noRoute  = "the run has no route %q: name one that it has"
	noCalls  = ": let the system call the address that the link listens on, and not the dependency's own"
	toTheEnd = ": let the run come to its end"
	moreFail = ": let faults last for longer, or offer more"
)

// onPath reports whether a fault concerns calls over the link.
func onPath(link *evidence.Link, f evidence.Injection) bool { return f.OnPath(link) }

// horizon is how far the evidence can be trusted to be whole: to the end of
// the load, or, when the run was cut, to one flush before the last record.
func horizon(run *evidence.Run) time.Duration {
	if !run.Partial {
		return run.End
	}
	var last time.Duration
	for i := range run.Samples {
		last = max(last, run.Samples[i].Done)
	}
	for _, l := range run.Links {
		if l == nil {
			continue
		}
		for i := range l.Exchanges {
			last = max(last, l.Exchanges[i].End)
		}
	}
	for _, t := range run.Ticks {
		last = max(last, t.At)
	}
	return max(0, min(run.End, last-flush))
}

// samplesOf returns the samples of a route in order of Intended; "" means all
// routes. It is false if the run has no such route.
func samplesOf(run *evidence.Run, route string) (arrivals, bool) {
	if route == "" {
		return every(run.Samples), true
	}
	places, ok := run.Route(route)
	return at(run.Samples, places), ok
}

// untouched returns the samples that had ended when the first fault came: the
// baseline. Those still under way may have been hit by it.
func untouched(run *evidence.Run, samples arrivals) arrivals {
	from := firstInjection(run)
	return endedBy(due(samples, 0, from), from)
}

// endedBy returns the samples that had ended by then.
func endedBy(samples arrivals, then time.Duration) arrivals {
	return samples.where(func(s *load.Sample) bool { return s.Done <= then })
}

// countOK returns how many of the samples ended well.
func countOK(samples arrivals) int {
	n := 0
	for _, s := range samples.all() {
		if s.Outcome == load.OK {
			n++
		}
	}
	return n
}

// answered reports whether the caller got a whole response, whatever it said.
func answered(s *load.Sample) bool { return s.Outcome.Answered() }

// propagates reports whether the system passes request ids on to the link, so
// that samples and exchanges can be matched request by request. A system whose
// health checks also use the link still does.
func propagates(link *evidence.Link) bool {
	for i := range link.Exchanges {
		if link.Exchanges[i].ID != 0 {
			return true
		}
	}
	return false
}

// failed reports whether a caller must take the exchange for a failure: an
// error of the server, a broken connection, or no answer while it waited.
func failed(x *evidence.Exchange) bool {
	switch x.Ending {
	case evidence.CallerGone, evidence.Failed, evidence.Broken:
		return true
	case evidence.Cut, evidence.Unread:
		return false
	}
	return x.Status >= 500
}

// responseTimes and serviceTimes list what the samples took.
func responseTimes(samples arrivals) []time.Duration {
	times := make([]time.Duration, samples.len())
	for i, s := range samples.all() {
		times[i] = s.ResponseTime()
	}
	return times
}

func serviceTimes(samples arrivals) []time.Duration {
	times := make([]time.Duration, samples.len())
	for i, s := range samples.all() {
		times[i] = s.ServiceTime()
	}
	return times
}

// percentile is the q-quantile (0 to 1) by nearest rank: the least value that
// at least a share q does not exceed; 0 if there is none. It sorts a copy.
func percentile(values []time.Duration, q float64) time.Duration {
	ordered := slices.Clone(values)
	slices.Sort(ordered)
	return ofOrdered(ordered, q)
}

// ofOrdered is the same of values that are in order.
func ofOrdered(ordered []time.Duration, q float64) time.Duration {
	if len(ordered) == 0 {
		return 0
	}
	// 0.95·20 is 19.000000000000004 in floats: a rank must not step over that.
	rank := int(math.Ceil(q*float64(len(ordered)) - 1e-9))
	return ordered[min(max(rank, 1), len(ordered))-1]
}

// short prints a duration for people: 212 ms, 2.01 s.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + short(-max(d, -math.MaxInt64))
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	default:
		return strings.TrimSuffix(fmt.Sprintf("%.2f", d.Seconds()), "0") + " s"
	}
}

// withoutHostStalls leaves out the samples of seconds in which the host itself stalled for
// longer than half of limit, as long as at least a hundred and a quarter of
// them remain: a percentile over a stall is the host's, not the system's.
// Otherwise it returns all, and the noise of their time tells.
func withoutHostStalls(run *evidence.Run, samples arrivals, limit time.Duration) arrivals {
	if limit <= 0 {
		return samples
	}
	noisy := noisyTicks(run, limit/2)
	calm := samples.where(func(s *load.Sample) bool {
		first, after := duringTicks(noisy, s)
		return first == after
	})
	if calm.len() < 100 || 4*calm.len() < samples.len() {
		return samples
	}
	return calm
}

// noiseAround is the host's noise in the seconds of the samples: what withoutHostStalls
// left out does not blur what it kept.
func noiseAround(run *evidence.Run, samples arrivals) time.Duration {
	noisy := noisyTicks(run, evidence.LeastNoise)
	ways := make([]int, len(noisy)+1) // the sum of ways[:i+1] is how many were under way in noisy[i]
	for _, s := range samples.all() {
		first, after := duringTicks(noisy, s)
		ways[first]++
		ways[after]--
	}
	noise, under := evidence.LeastNoise, 0
	for i := range noisy {
		if under += ways[i]; under > 0 {
			noise = max(noise, noisy[i].noise)
		}
	}
	return noise
}

// noisyTick is the stretch of a tick, and its noise.
type noisyTick struct{ from, at, noise time.Duration }

// noisyTicks lists the ticks with more noise than that.
func noisyTicks(run *evidence.Run, than time.Duration) (noisy []noisyTick) {
	for i := range run.Ticks {
		if noise := run.TickNoise(i); noise > than {
			noisy = append(noisy, noisyTick{run.TickFrom(i), run.Ticks[i].At, noise})
		}
	}
	return noisy
}

// duringTicks finds the ticks, of some that are ordered by time, in whose stretch a
// sample was under way: ticks[first:after].
func duringTicks(ticks []noisyTick, s *load.Sample) (first, after int) {
	first = sort.Search(len(ticks), func(i int) bool { return ticks[i].at > s.Intended })
	after = sort.Search(len(ticks), func(i int) bool { return ticks[i].from >= s.Done })
	return first, max(first, after)
}
