package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// leastTimed is how many answers a stretch of a run takes to have a median.
const leastTimed = 20

// judgeDrift rules on how the median of a route's times grows, beside that of a control.
//
// What slows the route may be the host, whose part in it is not known: it may add as much
// time to it as to the control, or slow it by the same share, or spare it. The growth is
// the route's own, less whatever of these it is.
func (c Growth) judgeDrift(f *finding) {
	own, control, width, ok := c.timed(f)
	if !ok {
		return
	}
	if n := len(own.x); n < leastTroughs {
		f.open("p50", "%s and %s were both answered %d times and more in %d stretches of %s, and at least %d are needed: offer more, or "+
			"let it last %s or longer", named(c.Route), named(c.Control), leastTimed, n, short(width), leastTroughs,
			roundUp(leastTroughs*c.troughs()))
		return
	}
	from := len(own.x) / 4
	grown, level := c.grown(f.run, own.part(from, len(own.x)))
	host, beside := c.grown(f.run, control.part(from, len(own.x)))
	added := Interval{host.Low * beside / level, host.High * beside / level} // the same time, as a share of the route's
	part := host.or(added).or(exactly(0))
	seen := Interval{grown.Low - part.High, grown.High - part.Low}

	of := figureOf{key: "p50", what: "p50", bound: float64(*c.P50), unit: shareGrowth}
	f.numbers.Add("p50_first", timed.written(level))
	f.numbers.Add("p50_"+unitNames[shareGrowth], shareGrowth.written((grown.Low+grown.High)/2))
	f.numbers.Add("control_"+unitNames[shareGrowth], shareGrowth.written((host.Low+host.High)/2))
	length := time.Duration((own.x[len(own.x)-1] - own.x[0]) * float64(time.Hour))
	m := measure{name: of.key, unit: of.unit, seen: seen, allowed: atMost(of.bound), sample: len(own.x) - from,
		says: fmt.Sprintf("the p50 of %s, %s at first, grows by %s in %s beside that of %s", named(c.Route), short(time.Duration(level)),
			of.unit.span(seen), short(length), named(c.Control)),
		settle: "a bound further from the figure would tell, or " + longer(length, seen, of.bound)}
	f.show(func() Exhibit { return c.drifted(own, level, grown, m) })
	if why := unlasting(own.part(from, len(own.x)).scaled(1/level), of); seen.Low > of.bound && why != "" {
		f.open(of.key, "%s, but %s: a run of %s or longer would tell", m.says, why, roundUp(2*length))
		return
	}
	f.rule(m)
}

// timed are the medians of the route and of the control in each stretch that has both, by
// hours of the run.
func (c Growth) timed(f *finding) (own, control course, width time.Duration, ok bool) {
	var of [2]arrivals
	for i, name := range []string{c.Route, c.Control} {
		if of[i], ok = samplesOf(f.run, name); !ok {
			f.open("p50", noRoute, name)
			return own, control, 0, false
		}
	}
	end := horizon(f.run)
	f.rests(0, end, onTimes)
	width = max(c.troughs(), end/mostTroughs)
	for from := time.Duration(0); from+width/2 < end; from += width {
		y, known := c.median(f.run, due(of[0], from, from+width))
		z, both := c.median(f.run, due(of[1], from, from+width))
		if x := (from + width/2).Hours(); known && both {
			own.x, own.y = append(own.x, x), append(own.y, y)
			control.x, control.y = append(control.x, x), append(control.y, z)
		}
	}
	return own, control, width, true
}

// median is that of the times of what was answered well while no fault was in force, in
// nanoseconds; it is not known of too few.
func (c Growth) median(run *evidence.Run, all arrivals) (float64, bool) {
	var took []float64
	for _, s := range (Steady{OutsideFaults: true}).counted(run, all).all() {
		if s.Outcome == load.OK {
			took = append(took, float64(s.ServiceTime()))
		}
	}
	if len(took) < leastTimed {
		return 0, false
	}
	return middle(took), true
}

// grown is by what share of its level at first a course grows in an hour.
func (c Growth) grown(run *evidence.Run, used course) (share Interval, level float64) {
	slope, at := used.slope()
	level = max(at+slope*used.x[0], 1)
	line := used.slopeInterval(run.Seed).or(exactly(used.rise()))
	return Interval{line.Low / level, line.High / level}, level
}

// drifted is the course of the route's median with the line through it.
func (c Growth) drifted(own course, level float64, grown Interval, m measure) Exhibit {
	slope := (grown.Low + grown.High) / 2 * level
	g := &Trend{Of: "p50 of " + c.Route, Unit: unitNames[timed], Points: []Point{}, Slope: timed.written(slope) / 3600,
		At0: timed.written(level - slope*own.x[len(own.x)/4])}
	for i, x := range own.x {
		g.Points = append(g.Points, Point{evidence.Seconds(x * float64(time.Hour)), timed.written(own.y[i])})
	}
	return Exhibit{Kind: KindGrowth, Part: m.name, Growth: g,
		Title: fmt.Sprintf("%s, and at most %s is claimed", m.says, m.unit.print(m.allowed.High))}
}
