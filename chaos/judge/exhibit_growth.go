package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// stretching is a division of [from, to) into stretches of one length.
type stretching struct{ from, to, step time.Duration }

// stretchesOf divides it so that there are no more than MaxSamples.
func stretchesOf(from, to, step time.Duration) stretching {
	return stretching{from, to, round(max(step, time.Millisecond), func(step time.Duration) bool { return (to-from)/step < MaxSamples })}
}

// points makes one of each stretch that has requests, of samples that are in the order of at.
// What is left at the end is a stretch of its own if it is half of one.
func (s stretching) points(all arrivals, at func(*load.Sample) time.Duration, figure func(arrivals) (float64, bool)) []Point {
	points := []Point{}
	last := max(0, (s.to-s.from+s.step/2)/s.step-1)
	for i := all.before(func(x *load.Sample) bool { return at(x) >= s.from }); i < all.len() && at(all.get(i)) < s.to; {
		k := min((at(all.get(i))-s.from)/s.step, last)
		begin, end := s.from+k*s.step, s.from+(k+1)*s.step
		if k == last {
			end = s.to
		}
		next := i + 1
		for next < all.len() && at(all.get(next)) < end {
			next++
		}
		if y, ok := figure(all.part(i, next)); ok {
			points = append(points, Point{evidence.Seconds(begin + (end-begin)/2), y})
		}
		i = next
	}
	return points
}

func dueAt(s *load.Sample) time.Duration  { return s.Intended }
func sentAt(s *load.Sample) time.Duration { return s.Sent }

// successOf is the share of some requests that ended well, in percent.
func successOf(all arrivals) (float64, bool) {
	return 100 * float64(countOK(all)) / float64(all.len()), true
}

// goodputOver is the goodput of a route from the start to the end of the evidence, beside
// what it was before the first fault.
func (c Recovery) goodputOver(run *evidence.Run, all arrivals, spans []span, end time.Duration) Exhibit {
	first := end
	if len(spans) > 0 {
		first = spans[0].from
	}
	ended := endedBy(due(all, 0, first), first)
	s := stretchesOf(0, end, c.stays()/4)
	type key struct {
		goodput string
		of      stretching
	}
	points := evidence.Memoized(run, key{c.Route, s}, recordsOf(run.Samples), func() []Point { return s.points(all, dueAt, successOf) })
	if len(points) == 0 || ended.len() == 0 {
		return Exhibit{}
	}
	baseline, _ := successOf(ended)
	return Exhibit{Kind: KindGrowth, Part: "goodput",
		Title: fmt.Sprintf("%.4g%% of the requests of %s succeeded before the first fault; at least %.4g%% count as back",
			baseline, named(c.Route), c.goodput()*baseline),
		Growth: &Trend{Of: "goodput of " + orAll(c.Route), Unit: unitNames[shared], Points: points, At0: baseline,
			Allowed: &Bound{c.goodput() * baseline, math.Inf(1)}}}
}

// exhibits are about each of the keys that are given. Those that had ended until then are some
// of the samples.
func (s Steady) exhibits(f *finding, ended, samples arrivals, until time.Duration, times steadyTimes) {
	if s.Success > 0 && ended.len() > 0 {
		f.show(func() Exhibit { return s.successOver(ended, until) })
	}
	for _, of := range []struct {
		q     float64
		limit time.Duration
	}{{0.5, s.P50}, {0.99, s.P99}} {
		if of.limit > 0 {
			f.show(func() Exhibit { return s.timesOver(f.run, samples, until, of.q, ofOrdered(times.measured, of.q)) })
		}
	}
}

// timesOver is a quantile of the response times until then, of each stretch; whole is that of
// all of them.
func (s Steady) timesOver(run *evidence.Run, samples arrivals, until time.Duration, q float64, whole time.Duration) Exhibit {
	name, limit := "p99", s.P99
	if q < 0.99 {
		name, limit = "p50", s.P50
	}
	of := stretchesOf(0, until, max(levelStep, until/60, time.Duration(leastWindow*float64(until)/float64(samples.len()))))
	took := func(x *load.Sample) time.Duration {
		if len(run.Faults) == 0 {
			return x.ResponseTime()
		}
		return min(x.ResponseTime(), max(0, until-x.Intended)) // it had waited for no longer by then
	}
	var sorted []time.Duration
	quantile := func(part arrivals) (float64, bool) {
		sorted = sorted[:0]
		for _, x := range part.all() {
			if x.Outcome != load.Unsent {
				sorted = append(sorted, took(x))
			}
		}
		slices.Sort(sorted)
		return timed.written(float64(ofOrdered(sorted, q))), len(sorted) > 0
	}
	type key struct {
		steady string
		q      float64
		of     stretching
	}
	points := evidence.Memoized(run, key{s.Route, q, of}, recordsOf(run.Samples),
		func() []Point { return of.points(samples, dueAt, quantile) })
	if len(points) == 0 {
		return Exhibit{}
	}
	line, is := timed.written(float64(whole)), "is "+short(whole)
	if whole == math.MaxInt64 {
		is = "is not known, for more requests than it leaves out were never sent,"
		line = slices.MaxFunc(points, func(a, b Point) int { return cmp.Compare(a.Y, b.Y) }).Y
	}
	return Exhibit{Kind: KindGrowth, Part: name,
		Title: fmt.Sprintf("%s %s over %s, and at most %s is claimed", name, is, short(until), short(limit)),
		Growth: &Trend{Of: name + " of the response time", Unit: unitNames[timed], Points: points, At0: line,
			Allowed: timed.inFile(atMost(limit))}}
}

// successOver is the share that succeeded of those that had ended until then.
func (s Steady) successOver(samples arrivals, until time.Duration) Exhibit {
	of := stretchesOf(0, until, max(levelStep, until/60))
	whole, _ := successOf(samples)
	return Exhibit{Kind: KindGrowth, Part: "success",
		Title: fmt.Sprintf("%.4g%% of %d requests succeeded, and at least %s is claimed", whole, samples.len(), s.Success),
		Growth: &Trend{Of: "success of " + orAll(s.Route), Unit: unitNames[shared], Points: of.points(samples, dueAt, successOf),
			At0:     whole,
			Allowed: shared.inFile(atLeast(float64(s.Success)))}}
}

// waitsOver is the longest wait of the callers around the faults.
func (c Timeout) waitsOver(t *traffic, spans []span, longest time.Duration) Exhibit {
	s := stretchesOf(max(0, spans[0].from-time.Second), min(t.end, spans[len(spans)-1].to+time.Second), levelStep)
	most := func(all arrivals) (float64, bool) {
		var most time.Duration
		for _, x := range all.all() {
			most = max(most, x.ServiceTime())
		}
		return timed.written(float64(most)), true
	}
	points := s.points(t.requests, sentAt, most)
	if len(points) == 0 {
		return Exhibit{}
	}
	return Exhibit{Kind: KindGrowth, Part: "within",
		Title: fmt.Sprintf("the longest wait of a caller was %s, and at most %s is claimed", short(longest), short(c.Within)),
		Growth: &Trend{Of: "longest wait of " + orAll(c.Route), Unit: unitNames[timed], Points: points,
			At0:     timed.written(float64(longest)),
			Allowed: timed.inFile(atMost(c.Within))}}
}
