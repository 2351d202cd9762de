package judge

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
)

// Growth claims that what a target takes does not grow without end: its memory, its
// descriptors, its threads, with those of all that it has started; or the time that a
// route takes.
//
// A process takes more for a while after its start, and less after each round of its
// garbage collector. So the first quarter of its life in the run is left out, and what
// counts is the least of each stretch of 30 s. The growth is the slope of the line
// through those, as far as their ups and downs leave it open, and as far as the end lies
// off the line. It is not refuted while the growth slows down: that may end.
type Growth struct {
	// The target that is weighed, which the run starts itself; rss, fds and threads need one. Absent means none.
	Target string `yaml:"target"`
	// Its memory grows by at most so much, after it has warmed up; absent is not judged.
	RSS *unit.SizeGrowth `yaml:"rss"`
	// Its open descriptors grow by at most so many; absent is not judged.
	FDs *unit.CountGrowth `yaml:"fds"`
	// Its threads grow by at most so many; absent is not judged.
	Threads *unit.CountGrowth `yaml:"threads"`
	// The median of the route's times grows by at most such a share of what it is at first, by itself and not with the
	// control; absent is not judged.
	P50   *unit.ShareGrowth `yaml:"p50"`
	Route string            `yaml:"route"` // The route of which p50 speaks, which needs one; absent means none.
	// A route to what does not get slower, like a reference dependency without a fault: as the host slows it, it may have
	// slowed the other. p50 needs one; absent means none.
	Control string `yaml:"control"`
	// Over how long the least counts: longer than a round of the target's garbage collector takes. Absent means 30s.
	Troughs time.Duration `yaml:"troughs"`
}

const (
	// A course takes so many troughs, the first quarter included; of more, each is the least
	// of a longer stretch.
	leastTroughs = 16
	mostTroughs  = 80

	// slows is what part of its first half's growth the second half of a course has at
	// least, if it is not slowing down. A process that warms up by less and less slows to
	// 0.69 of it where it takes as long as the run.
	slows = 0.75

	// stepwise is the share of a growth that, if more of it came in a few jumps, makes it a
	// stepwise growth and no steady one.
	stepwise = 0.75
)

func (c Growth) troughs() time.Duration {
	return cmp.Or(c.Troughs, 30*time.Second)
}

func (c Growth) String() string {
	var parts []string
	if c.RSS != nil {
		parts = append(parts, "memory by at most "+c.RSS.String())
	}
	if c.FDs != nil {
		parts = append(parts, "descriptors by at most "+c.FDs.String())
	}
	if c.Threads != nil {
		parts = append(parts, "threads by at most "+c.Threads.String())
	}
	if c.P50 != nil {
		parts = append(parts, fmt.Sprintf("p50 of %s by at most %s beside %s", c.Route, c.P50, c.Control))
	}
	return fmt.Sprintf("growth of %s: %s", cmp.Or(c.Target, c.Route), strings.Join(parts, ", "))
}

// figureOf is one of the figures that can grow.
type figureOf struct {
	key, what string
	bound     float64 // in an hour
	unit      Unit
	of        func(evidence.TargetTick) float64 // negative is not known
	print     func(float64) string              // the figure itself
}

func (c Growth) figures() (all []figureOf) {
	count := func(v float64) string { return fmt.Sprintf("%.0f", v) }
	if c.RSS != nil {
		all = append(all, figureOf{"rss", "memory", float64(*c.RSS), sizeGrowth,
			func(t evidence.TargetTick) float64 { return float64(t.RSS) }, mebibytes})
	}
	if c.FDs != nil {
		all = append(all, figureOf{"fds", "descriptors", float64(*c.FDs), countGrowth,
			func(t evidence.TargetTick) float64 { return float64(t.Files) }, count})
	}
	if c.Threads != nil {
		all = append(all, figureOf{"threads", "threads", float64(*c.Threads), countGrowth,
			func(t evidence.TargetTick) float64 { return float64(t.Threads) }, count})
	}
	return all
}

// life is a stretch of the seconds of a run in which a target was one process.
type life struct{ first, last int }

// Judge implements Claim.
func (c Growth) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "growth")
	if len(c.figures()) > 0 {
		c.judgeWeighed(f)
	}
	if c.P50 != nil {
		c.judgeDrift(f)
	}
	return f.verdict()
}

// judgeWeighed rules on what the target takes.
func (c Growth) judgeWeighed(f *finding) {
	run := f.run
	lives := c.lives(run)
	if len(lives) == 0 && run.Partial {
		f.open("", "the run was cut, and its evidence is whole only up to %s, by when it is not known what %s takes"+toTheEnd,
			short(horizon(run)), c.Target)
		return
	}
	if len(lives) == 0 {
		f.open("", "what %s takes is not known: only targets that the run has started are weighed, on Linux", c.Target)
		return
	}
	longest := lives[0]
	span := func(l life) time.Duration { return run.Ticks[l.last].At - run.TickFrom(l.first) }
	for _, l := range lives {
		if span(l) > span(longest) {
			longest = l
		}
	}
	if len(lives) > 1 {
		f.remark("", "%s was started again %s: the %s from %s on are ruled on, its longest life",
			c.Target, often(len(lives)-1), short(span(longest)), short(run.TickFrom(longest.first)))
	}
	f.rests(run.TickFrom(longest.first), run.Ticks[longest.last].At, 0)
	for _, of := range c.figures() {
		c.judgeFigure(f, of, longest)
	}
}

// lives are the stretches of a run in which the target was one process, as far as the
// evidence is whole.
func (c Growth) lives(run *evidence.Run) (all []life) {
	pid, end := 0, horizon(run)
	for i, t := range run.Ticks {
		if run.Partial && t.At > end {
			break
		}
		w, weighed := t.Targets[c.Target]
		switch {
		case !weighed: // it is gone, or could not be weighed in time
		case w.Pid != pid:
			pid = w.Pid
			all = append(all, life{i, i})
		default:
			all[len(all)-1].last = i
		}
	}
	return all
}

// course is the least of a figure in each stretch of a life, by hours since its begin;
// points are the same in seconds of the run. width is how long a stretch is.
func (c Growth) course(run *evidence.Run, of figureOf, l life) (all course, width time.Duration) {
	from, to := run.TickFrom(l.first), run.Ticks[l.last].At
	width = max(c.troughs(), (to-from)/mostTroughs)
	n := int((to - from + width/2) / width) // half of a stretch at the end is one
	least := make([]float64, n)
	for i := range least {
		least[i] = math.Inf(1)
	}
	for i := l.first; i <= l.last; i++ {
		w, weighed := run.Ticks[i].Targets[c.Target]
		k := int((run.TickFrom(i) - from) / width)
		if v := of.of(w); weighed && v >= 0 && k < n {
			least[k] = min(least[k], v)
		}
	}
	for k, v := range least {
		if !math.IsInf(v, 1) {
			all.x = append(all.x, (time.Duration(k)*width + width/2).Hours())
			all.y = append(all.y, v)
		}
	}
	return all, width
}

// judgeFigure rules on the growth of one figure.
func (c Growth) judgeFigure(f *finding, of figureOf, l life) {
	all, width := c.course(f.run, of, l)
	if n := len(all.x); n < leastTroughs {
		f.open(of.key, "the %s of %s were known in %d stretches of %s, and at least %d are needed: a run of %s or longer would tell",
			of.what, c.Target, n, short(width), leastTroughs, roundUp(leastTroughs*c.troughs()))
		return
	}
	used := all.part(len(all.x)/4, len(all.x))
	line := used.slopeInterval(f.run.Seed)
	seen := line.or(exactly(used.rise()))
	length := f.run.Ticks[l.last].At - f.run.TickFrom(l.first)
	slope, at := used.slope()
	first, last := at+slope*used.x[0], at+slope*used.x[len(used.x)-1]
	f.numbers.Add(c.Target+"_"+of.key+"_first", of.unit.written(first))
	f.numbers.Add(c.Target+"_"+of.key+"_last", of.unit.written(last))
	f.numbers.Add(c.Target+"_"+of.key+"_"+unitNames[of.unit], of.unit.written(slope))
	m := measure{name: of.key, unit: of.unit, seen: seen, allowed: atMost(of.bound), sample: len(used.x),
		says: fmt.Sprintf("the %s of %s grow by %s, from %s to %s in %s", of.what, c.Target, of.unit.span(seen), of.print(first),
			of.print(last), short(time.Duration((used.x[len(used.x)-1]-used.x[0])*float64(time.Hour)))),
		settle: "a bound further from the figure would tell, or " + longer(length, line, of.bound)}
	if of.what == "memory" {
		m.says = strings.Replace(m.says, " grow by", " grows by", 1)
	}
	f.show(func() Exhibit { return c.shown(f.run, of, l, all, width, m) })
	if why := unlasting(used, of); seen.Low > of.bound && why != "" {
		f.open(of.key, "%s, but %s: a run of %s or longer would tell", m.says, why, roundUp(2*length))
		return
	}
	f.rule(m)
}

// unlasting says why growth beyond the bound need not go on; "" if there is no reason.
func unlasting(used course, of figureOf) string {
	half := len(used.x) / 2
	early, _ := used.part(0, half).slope()
	late, _ := used.part(half, len(used.x)).slope()
	switch {
	case late <= of.bound:
		return fmt.Sprintf("not in the second half of the time (by %s): it may have taken once what it needs", of.unit.print(late))
	case early <= of.bound:
		return fmt.Sprintf("not in the first half of the time (by %s): what it began then may end", of.unit.print(early))
	case used.jumps() > stepwise:
		return "it came in a few steps: they may be all"
	case late < slows*early:
		return fmt.Sprintf("ever slower, by %s in the first half of the time and by %s in the second: it may still be warming up",
			of.unit.print(early), of.unit.print(late))
	}
	return ""
}

// longer says how long a run would have to be for a slope that is known so well after
// length to be told from a bound: points are more and lie further apart, so that it is
// known better by the power of 1.5.
func longer(length time.Duration, line Interval, bound float64) string {
	half, gap := (line.High-line.Low)/2, math.Abs(bound-(line.High+line.Low)/2)
	factor := 1.2 * math.Pow(half/gap, 1/1.5)
	if !(factor < 50) {
		return "a much longer run"
	}
	return fmt.Sprintf("a run of about %s", roundUp(time.Duration(max(1.5, factor)*float64(length))))
}

// shown is the course of a figure with the line through it.
func (c Growth) shown(run *evidence.Run, of figureOf, l life, all course, width time.Duration, m measure) Exhibit {
	slope, at := all.part(len(all.x)/4, len(all.x)).slope()
	from := run.TickFrom(l.first)
	g := &Trend{Of: of.what + " of " + c.Target, Unit: of.unit.grownName(), Points: []Point{},
		Slope: of.unit.written(slope) / 3600, At0: of.unit.written(at - slope*from.Hours())}
	for i, x := range all.x {
		g.Points = append(g.Points, Point{evidence.Seconds(from + time.Duration(x*float64(time.Hour))), of.unit.written(all.y[i])})
	}
	return Exhibit{Kind: KindGrowth, Part: of.key, Growth: g,
		Title: fmt.Sprintf("%s (the least of each %s), and at most %s is claimed", m.says, short(width), of.unit.print(of.bound))}
}

// mebibytes prints a number of bytes.
func mebibytes(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }
