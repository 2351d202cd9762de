package judge

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// Shed claims that a system which is offered more than it can do says no quickly to what is too much, and
// goes on serving the rest: one that queues without a bound serves nobody in the end.
//
// What counts is what ends while too much is offered: whole seconds in which at least one and a half times
// the capacity of the route is due, one second after that began, in stretches of one level of load. These requests
// are a census and no sample. Served is what ended well then, whenever it was due.
type Shed struct {
	Route    string     `yaml:"route"`    // The route that is offered too much.
	Capacity rate.Limit `yaml:"capacity"` // So many requests of it per second can be served at least.
	Goodput  unit.Share `yaml:"goodput"`  // At least this part of capacity is served while more is offered; absent means 90%.
	// At most so long is the 99th percentile of the response time of those that are served then; absent is not judged.
	P99 time.Duration `yaml:"p99"`
	// Only with these statuses are requests turned away then; absent means 429, 503.
	Rejects []int `yaml:"rejects"`
	// At most so long is the 99th percentile of the response time of those that are turned away; absent is not judged.
	RejectsWithin time.Duration `yaml:"rejects_within"`
	// Routes that are turned away last: at least the part goodput of each one's requests succeeds then; absent is none.
	Spares []string `yaml:"spares"`
}

// What it takes to speak of a system that is offered too much.
const (
	overOffered = 1.5             // of the capacity is surely too much
	overSettles = time.Second     // until what was begun before has ended
	overLeast   = 2 * time.Second // is the shortest stretch, without that
	levelChange = 0.25            // by which a rate differs from that of its stretch is another level
	leastShed   = 20              // requests turned away, to speak of them
)

func (c Shed) goodput() float64 {
	if c.Goodput == 0 {
		return 0.9
	}
	return float64(c.Goodput)
}

func (c Shed) rejects() []int {
	if len(c.Rejects) == 0 {
		return []int{429, 503}
	}
	return c.Rejects
}

func (c Shed) String() string {
	parts := []string{fmt.Sprintf("goodput stays at %s of %s", unit.Share(c.goodput()), unit.FormatRate(c.Capacity))}
	if c.P99 > 0 {
		parts = append(parts, "p99 within "+short(c.P99))
	}
	if c.RejectsWithin > 0 {
		parts = append(parts, "turns away within "+short(c.RejectsWithin))
	}
	if len(c.Spares) > 0 {
		parts = append(parts, "spares "+strings.Join(c.Spares, ", "))
	}
	return fmt.Sprintf("%s beyond capacity: %s", c.Route, strings.Join(parts, ", "))
}

// overload is a stretch in which too much was offered at one level, without its first second.
type overload struct {
	from, to time.Duration
	due      arrivals // of the route
	served   int      // requests of the route that ended well then
}

func (o overload) perSecond(n float64) float64 { return n / (o.to - o.from).Seconds() }

// Judge implements Claim.
func (c Shed) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "shed")
	all, known := samplesOf(run, c.Route)
	if !known {
		f.open("", noRoute, c.Route)
		return f.verdict()
	}
	over := c.overloads(run, all)
	if len(over) == 0 {
		f.open("capacity", "never was %s or more of %q due for %s: offer three times the capacity for some seconds, by a stage or a spike",
			unit.FormatRate(overOffered*c.Capacity), c.Route, short(overSettles+overLeast))
		return f.verdict()
	}
	dues := make([]arrivals, len(over))
	for i, o := range over {
		f.rests(o.from, o.to, onDue|onLoad)
		dues[i] = o.due
	}
	due := joined(dues...)
	c.judgeGoodput(f, over)
	served := due.where(func(s *load.Sample) bool { return s.Outcome == load.OK })
	turned := due.where(c.turnsAway)
	c.judgeServed(f, served)
	c.judgeOthers(f, due)
	c.judgeTurned(f, turned)
	for _, route := range c.Spares {
		c.judgeSpared(f, route, over)
	}
	c.visited(f, due, turned)
	f.show(func() Exhibit { return c.servedOver(run, all) })
	return f.verdict()
}

func (c Shed) turnsAway(s *load.Sample) bool {
	return s.Outcome != load.OK && answered(s) && slices.Contains(c.rejects(), s.Status)
}

// visited opens what was not put to the test.
func (c Shed) visited(f *finding, due, turned arrivals) {
	punctual, others := 0, 0
	for _, s := range due.all() {
		if s.Outcome != load.Unsent && s.SendLag() <= lateLoad {
			punctual++
		}
		if s.Outcome != load.OK && !c.turnsAway(s) {
			others++
		}
	}
	switch {
	case rulingOf(f.parts) == Refuted:
	case 10*punctual < 9*due.len():
		f.open("capacity", "only %d of %d requests were sent when they were due, so that the system was offered less: "+
			"raise load.connections", punctual, due.len())
	case turned.len()+others < leastShed:
		f.open("capacity", "it served all but %d of %d requests, so that nothing shows what it does beyond its capacity: offer more",
			turned.len()+others, due.len())
	}
}

// overloads finds the stretches in which too much was due.
func (c Shed) overloads(run *evidence.Run, all arrivals) (over []overload) {
	end := horizon(run)
	seconds := make([]float64, max(0, end/time.Second))
	for _, s := range all.all() {
		if i := int(s.Intended / time.Second); s.Intended >= 0 && i < len(seconds) {
			seconds[i]++
		}
	}
	enough := overOffered * float64(c.Capacity)
	for i := 0; i < len(seconds); {
		level, next := seconds[i], i+1
		if level < enough {
			i = next
			continue
		}
		for next < len(seconds) && seconds[next] >= enough && math.Abs(seconds[next]-level) <= levelChange*level {
			level += (seconds[next] - level) / float64(next-i+1)
			next++
		}
		o := overload{from: time.Duration(i)*time.Second + overSettles, to: time.Duration(next) * time.Second}
		if o.to-o.from >= overLeast {
			o.due = due(all, o.from, o.to)
			for _, s := range all.all() {
				if s.Outcome == load.OK && s.Done >= o.from && s.Done < o.to {
					o.served++
				}
			}
			over = append(over, o)
		}
		i = next
	}
	return over
}

// judgeGoodput rules on the stretch in which least was served.
func (c Shed) judgeGoodput(f *finding, over []overload) {
	least := Interval{math.Inf(1), math.Inf(1)}
	worst := over[0]
	for _, o := range over {
		one := goodRate(f.run, o)
		if one.Low < least.Low {
			worst = o
		}
		least = Interval{min(least.Low, one.Low), min(least.High, one.High)}
	}
	offered, served := worst.perSecond(float64(worst.due.len())), worst.perSecond(float64(worst.served))
	f.numbers.Add("offered_per_s", offered)
	f.numbers.Add("served_per_s", served)
	f.rule(measure{name: "goodput", unit: shared, seen: Interval{least.Low / float64(c.Capacity), least.High / float64(c.Capacity)},
		allowed: atLeast(c.goodput()), sample: worst.due.len(), ids: failures(worst.due),
		says: fmt.Sprintf("%.4g/s were served while %.4g/s were offered, %.3g%% of the capacity", served, offered,
			100*served/float64(c.Capacity)),
		refutes: fmt.Sprintf("only %.4g/s were served while %.4g/s were offered, %.3g%% of the capacity", served, offered,
			100*served/float64(c.Capacity)),
		hidden: noiseText(f.run.Noise(worst.from, worst.to)),
		settle: "a host with cores to spare, or a longer stretch beyond the capacity, would tell"})
}

// goodRate is how many requests a second ended well in a stretch. At least: without those that may have
// ended before it and were seen late. At most: had the host not stalled, and had it had the cores to itself,
// for which a system that is crowded out may be ten times slower.
func goodRate(run *evidence.Run, o overload) Interval {
	length, stalled, crowded := o.to-o.from, time.Duration(0), false
	for i := range run.Ticks {
		if at := run.Ticks[i].At; at <= o.from || run.TickFrom(i) >= o.to {
			continue
		}
		if hiccup := run.Ticks[i].HiccupMax.Duration(); hiccup >= upset {
			stalled += hiccup
		}
		crowded = crowded || run.Ticks[i].Pressure >= load.Crowded
	}
	n := float64(o.served)
	seen := Interval{Low: o.perSecond(n * (1 - min(1, run.Noise(o.from, o.from+time.Second).Seconds()/length.Seconds()))),
		High: math.Inf(1)}
	if stalled < length/2 {
		seen.High = n/(length-stalled).Seconds() + 1/length.Seconds()
	}
	if crowded {
		seen.High *= 10
	}
	return seen
}

// judgeServed rules on how long those waited that were served.
func (c Shed) judgeServed(f *finding, served arrivals) {
	if c.P99 == 0 {
		return
	}
	if served.len() < leastShed {
		f.open("p99", "only %s served of those due beyond the capacity, and at least %d are needed", were(served.len(), "request was",
			"requests were"), leastShed)
		return
	}
	seen := p99(f.run, served)
	f.numbers.AddTime("served_p99", time.Duration(min(seen.High, math.MaxInt64/2)))
	f.rule(measure{name: "p99", unit: timed, seen: seen, allowed: atMost(c.P99), sample: served.len(), ids: slower(c.P99, served),
		says:   fmt.Sprintf("of %d requests that were served, 99%% took no longer than %s", served.len(), timed.print(seen.High)),
		hidden: noiseText(f.run.Noise(served.get(0).Intended, served.get(served.len()-1).Done))})
}

// judgeOthers rules on requests that were neither served nor turned away.
func (c Shed) judgeOthers(f *finding, due arrivals) {
	lost := due.where(func(s *load.Sample) bool { return s.Outcome != load.OK && !c.turnsAway(s) })
	excused := 0
	for _, s := range lost.all() {
		if s.Outcome.Ours() || f.run.Noise(s.Intended, s.Done) >= upset {
			excused++
		}
	}
	f.rule(measure{name: "rejects", seen: interval(lost.len()-excused, lost.len()), allowed: atMost(0), sample: due.len(),
		ids: failures(lost), says: fmt.Sprintf("%s neither served nor turned away by %s", were(lost.len(), "request was", "requests were"),
			statusText(c.rejects())),
		refutes: fmt.Sprintf("%d of %d requests were neither served nor turned away by %s: %s", lost.len(), due.len(),
			statusText(c.rejects()), outcomeText(lost)),
		hidden: were(excused, "request that was", "requests that were") + " not sent, or failed while the host stood still",
		settle: "raise load.connections, or take a host with cores to spare"})
}

// judgeTurned rules on how quick it was to say no.
func (c Shed) judgeTurned(f *finding, turned arrivals) {
	f.numbers.Add("turned_away", float64(turned.len()))
	if c.RejectsWithin == 0 {
		return
	}
	if turned.len() < leastShed {
		f.open("rejects_within", "only %s turned away, and at least %d are needed: offer more", were(turned.len(), "request was",
			"requests were"), leastShed)
		return
	}
	seen := p99(f.run, turned)
	f.rule(measure{name: "rejects_within", unit: timed, seen: seen, allowed: atMost(c.RejectsWithin), sample: turned.len(),
		ids:    slower(c.RejectsWithin, turned),
		says:   fmt.Sprintf("of %d requests that were turned away, 99%% were within %s", turned.len(), timed.print(seen.High)),
		hidden: noiseText(f.run.Noise(turned.get(0).Intended, turned.get(turned.len()-1).Done))})
}

// judgeSpared rules on a route that is to be turned away last.
func (c Shed) judgeSpared(f *finding, route string, over []overload) {
	all, known := samplesOf(f.run, route)
	if !known {
		f.open("spares", noRoute, route)
		return
	}
	lists := make([]arrivals, len(over))
	for i, o := range over {
		lists[i] = due(all, o.from, o.to)
	}
	these := joined(lists...)
	if these.len() < leastLost {
		f.open("spares", "only %s of %q due while too much was offered, and at least %d are needed: offer more of it",
			were(these.len(), "request was", "requests were"), route, leastLost)
		return
	}
	served := countOK(these)
	f.rule(measure{name: "spares", unit: shared, seen: goodputOf(f.run, these), allowed: atLeast(c.goodput()), sample: these.len(),
		ids:     failures(these),
		says:    fmt.Sprintf("%d of %d requests of %q succeeded meanwhile", served, these.len(), route),
		refutes: fmt.Sprintf("only %d of %d requests of %q succeeded meanwhile", served, these.len(), route)})
}

// statusText lists statuses: 429 or 503.
func statusText(list []int) string {
	return unit.List(list, " or ", strconv.Itoa)
}

// outcomeText counts how requests ended, in the order of the outcomes.
func outcomeText(samples arrivals) string {
	var n [load.Outcomes]int
	for _, s := range samples.all() {
		n[s.Outcome]++
	}
	var texts []string
	for outcome, count := range n {
		if count > 0 {
			texts = append(texts, fmt.Sprintf("%d %s", count, load.Outcome(outcome)))
		}
	}
	return strings.Join(texts, ", ")
}

// servedOver is how many requests a second ended well, over the run.
func (c Shed) servedOver(run *evidence.Run, all arrivals) Exhibit {
	end := horizon(run)
	step := max(time.Second, (end/MaxSamples+time.Second-1)/time.Second*time.Second)
	counts := make([]float64, end/step)
	for _, s := range all.all() {
		if i := int(s.Done / step); s.Outcome == load.OK && i < len(counts) {
			counts[i]++
		}
	}
	if len(counts) == 0 {
		return Exhibit{}
	}
	points := make([]Point, len(counts))
	for i, n := range counts {
		points[i] = Point{At: evidence.Seconds(time.Duration(i)*step + step/2), Y: n / step.Seconds()}
	}
	floor := c.goodput() * float64(c.Capacity)
	return Exhibit{Kind: KindGrowth, Part: "goodput",
		Title: fmt.Sprintf("requests of %s that ended well, a second: at least %.4g are claimed while more than the capacity is offered",
			c.Route, floor),
		Growth: &Trend{Of: "goodput of " + c.Route, Unit: "per_s", Points: points, At0: float64(c.Capacity), Allowed: &Bound{floor,
			math.Inf(1)}}}
}
