package evidence

import (
	"sort"
	"time"

	"github.com/stormctl/stormctl/load"
)

// What a saturated host adds to a call, and when it is saturated. With four
// busy loops on two cores, p99 of a 5 ms call through four processes was seen
// at 340 ms while a sleeping thread woke up at most 21 ms late.
const (
	saturated      = load.Crowded
	saturatedNoise = 500 * time.Millisecond
)

// LeastNoise is what timer slack and a scheduling or two take on any host.
const LeastNoise = 10 * time.Millisecond

// TickFrom is when the stretch that ends with the tick i began: where the tick before
// ended, the first at 0, and a second before it at the latest. It is longer than a
// second where the harness itself stood still.
func (r *Run) TickFrom(i int) time.Duration {
	var before time.Duration
	if i > 0 {
		before = r.Ticks[i-1].At
	}
	return min(before, r.Ticks[i].At-time.Second)
}

// tickLength is how long the tick i took, as far as being late tells of the harness.
// The last one of a run that came to its end also has in it what closing took, of
// targets that are slow to stop: that is no standstill, which the hiccups would show.
func (r *Run) tickLength(i int) time.Duration {
	if longest := r.Ticks[i].Longest.Duration(); longest > 0 {
		return longest
	}
	from := r.TickFrom(i)
	length := r.Ticks[i].At - from
	if r.hasEnd && i == len(r.Ticks)-1 {
		length = min(length, max(time.Second, r.End-from))
	}
	return length
}

// TickNoise is the noise of the tick i, without the floor. That a tick came late
// counts, for the hiccup that it shows may be noted in the next one only.
func (r *Run) TickNoise(i int) time.Duration {
	t := &r.Ticks[i]
	return max(t.Noise(), load.StoodStill(r.tickLength(i), t.HiccupMax.Duration()))
}

// StoodStill is for how long the harness stood still at most, at once, in [from, to] and
// the second before, and when it went on at the latest; 0 if it did not. What the
// system did meanwhile was not seen, and what came next was a burst.
func (r *Run) StoodStill(from, to time.Duration) (still, until time.Duration) {
	lo, hi := r.ticksIn(from-time.Second, to)
	for i := lo; i < hi; i++ {
		t := &r.Ticks[i]
		if s := load.StoodStill(r.tickLength(i), t.HiccupMax.Duration()); s > still {
			still, until = s, t.At
		}
	}
	return still, until
}

// Swamped is for how long in [from, to] the machine was swamped, at once, and when
// that was over: some thread waited for a core nearly all the time, and for seconds of
// it, then, before or after, so many did that each had a small share of one. What a
// system of this machine did then, and how long it took, says little of it: with 40
// threads on two cores a timeout of 300 ms was seen to take 10 s.
func (r *Run) Swamped(from, to time.Duration) (swamped, until time.Duration) {
	lo, hi := r.ticksIn(from, to)
	for i := lo; i < hi; {
		first, end := i, i // of the seconds around in which some thread waited nearly all the time
		for end < len(r.Ticks) && r.Ticks[end].Pressure >= piling {
			end++
		}
		for end > i && first > 0 && r.Ticks[first-1].Pressure >= piling {
			first--
		}
		last := min(end, hi) - 1
		i = end + 1
		if !everSwamped(r.Ticks[first:end]) {
			continue
		}
		if d := r.Ticks[last].At - r.TickFrom(max(first, lo)); d > swamped {
			swamped, until = d, r.Ticks[last].At
		}
	}
	return swamped, until
}

// everSwamped reports whether the machine was swamped in some of these ticks.
func everSwamped(ticks []Tick) bool {
	for i := swampedTicks; i <= len(ticks); i++ {
		if swampedBy(ticks[i-swampedTicks : i]) {
			return true
		}
	}
	return false
}

// swampedBy reports whether the machine was swamped in all of these ticks.
func swampedBy(ticks []Tick) bool {
	threads, cores := 0, 0
	for i := range ticks {
		if ticks[i].Pressure < piling {
			return false
		}
		threads, cores = threads+ticks[i].Runnable, cores+ticks[i].Cores
	}
	return cores > 0 && threads >= cores*swampedThreads // older runs do not say how many cores there were
}

const (
	swampedTicks   = 3 // in a row
	swampedThreads = 4 // for each core, on average over them
)

// Unseen is the stretch of [from, to] of which is not known what the system did: from
// the first tick in it that found the harness to have stood still, or its requests
// as late, to the last. It is false if there is none.
func (r *Run) Unseen(from, to time.Duration) (begin, end time.Duration, is bool) {
	lo, hi := r.ticksIn(from, to)
	for i := lo; i < hi; i++ {
		t := &r.Ticks[i]
		late := t.LateP99.Duration()
		if late < load.StandStill && load.StoodStill(r.tickLength(i), t.HiccupMax.Duration()) == 0 {
			continue
		}
		if !is {
			begin, is = max(from, r.TickFrom(i)-late), true
		}
		end = min(to, t.At)
	}
	return begin, end, is
}

// TicksIn returns the ticks whose stretch has a moment of [from, to] in it, both
// ends included: see TickFrom. It takes the logarithm of all ticks. The ticks are
// the run's own.
func (r *Run) TicksIn(from, to time.Duration) []Tick {
	lo, hi := r.ticksIn(from, to)
	return r.Ticks[lo:hi:hi]
}

func (r *Run) ticksIn(from, to time.Duration) (lo, hi int) {
	lo = sort.Search(len(r.Ticks), func(i int) bool { return r.Ticks[i].At >= from })
	hi = lo + sort.Search(len(r.Ticks)-lo, func(i int) bool { return r.TickFrom(lo+i) > to })
	return lo, hi
}

// Noise is the most that the host and the harness delayed anything in
// [from, to]: a measured duration may be too long by this much for reasons
// that are not the system's. It is the largest of the hiccups, of what a
// saturated host does beyond them, and of a floor for timer slack. It looks at
// the ticks of that time only.
func (r *Run) Noise(from, to time.Duration) time.Duration {
	noise := LeastNoise
	lo, hi := r.ticksIn(from, to)
	for i := lo; i < hi; i++ {
		noise = max(noise, r.TickNoise(i))
	}
	return noise
}

// Lateness is how late what a system does may be in [from, to) because there was
// more to do than the host could: Noise, and where some thread waited for a core
// nearly all the time for seconds in a row, a quarter of these, for then work piles
// up; 3 s at the most. With a load of 20 on two cores, retries that wait 100 ms
// were seen after 1.8 s. It looks at the ticks of that time, and of the 12 s before.
func (r *Run) Lateness(from, to time.Duration) time.Duration {
	late := r.Noise(from, to)
	lo, hi := r.ticksIn(from, to)
	var since time.Duration // of a stretch without a core to spare, or earlier than it matters
	for i := lo - 1; i >= 0; i-- {
		if t := &r.Ticks[i]; t.Pressure < piling || lo < hi && r.Ticks[lo].At-t.At >= 4*mostLate {
			since = t.At
			break
		}
	}
	for i := lo; i < hi; i++ {
		if t := &r.Ticks[i]; t.Pressure < piling {
			since = t.At
		} else {
			late = max(late, min((t.At-since)/4, mostLate))
		}
	}
	return late
}

const (
	piling   = 0.95 // of a second in which some thread waited for a core
	mostLate = 3 * time.Second
)

// What a process may wait for its turn where others want the cores too, and
// from when on they do. It is for judging what a system does next once it knows
// something, where LeastNoise is too little: with one of two cores taken and
// four experiments on them, haproxy was seen to send calls to a server for more
// than 10 ms after the answer that made it mark that server down.
const (
	contended = 0.3 // of a second in which some thread waited for a core
	turn      = 50 * time.Millisecond
)

// Turn is how long a process may wait for its turn in [from, to): LeastNoise
// where it had the cores to itself. It looks at the ticks of that time only.
func (r *Run) Turn(from, to time.Duration) time.Duration {
	for i, in := 0, r.TicksIn(from, to); i < len(in); i++ {
		if in[i].Pressure >= contended {
			return turn
		}
	}
	return LeastNoise
}

// Noise is what the tick itself knows of it, without the floor.
func (t *Tick) Noise() time.Duration {
	clocks := t.Clock.Duration() // of two machines, which a time may join
	if t.Pressure >= saturated {
		return max(saturatedNoise, t.HiccupMax.Duration()) + clocks
	}
	return t.HiccupMax.Duration() + clocks
}
