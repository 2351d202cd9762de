package judge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// Bulkhead claims that calls over Link have their own bounded share of the
// system: when the dependency behind it drowns, it takes no more than Limit
// and the unaffected routes stay dry. What is absent is not claimed, but told.
//
// A limit smaller than claimed keeps the claim, "at most", and is named.
//
// A bulkhead of N places is one that keeps them. So Limit claims as well that
// none is lost, where a second episode of faults, or a long one, can show it:
// permits that were taken and not given back are a leak (resilience4j #332,
// failsafe-lib #393). What tells it from a lack of load are calls turned away
// below the old limit. How soon after a healing the places are free again is
// another claim, which FreedWithin makes.
type Bulkhead struct {
	Link  string `yaml:"link"`  // The link that drowns.
	Route string `yaml:"route"` // The route that causes its calls; absent means all that call over the link.
	// At most so many calls are in progress on the link at one time, and no place is lost; absent is not judged.
	Limit int `yaml:"limit"`
	// Routes that never notice, by goodput and slowdown; absent is not judged.
	Unaffected []string `yaml:"unaffected"`
	// At least this part of their baseline is kept by the unaffected; absent means 95%.
	Goodput unit.Share `yaml:"goodput"`
	// The 99th percentile of the unaffected grows at most by this factor; absent means 1.5.
	Slowdown float64 `yaml:"slowdown"`
	// At most so long is the 99th percentile of the response time of calls that find it full; absent is not judged.
	RejectsWithin time.Duration `yaml:"rejects_within"`
	// At most so long from each healing until the route's goodput is back for good; absent is not judged.
	FreedWithin time.Duration `yaml:"freed_within"`
}

// What a run must have shown before a bulkhead claim can hold.
const (
	leastHits     = 10 // calls that the faults touched
	leastRejects  = 20 // calls turned away, to speak of a 99th percentile
	leastBaseline = 50 // requests of a route before the first fault
	leastPlateau  = 10 // calls turned away at one level, to call it the limit
)

func (c Bulkhead) String() string {
	var parts []string
	if c.Limit > 0 {
		parts = append(parts, fmt.Sprintf("at most %d calls at a time", c.Limit))
	}
	if len(c.Unaffected) > 0 {
		parts = append(parts, strings.Join(c.Unaffected, ", ")+" unaffected")
	}
	if c.RejectsWithin > 0 {
		parts = append(parts, "turns away within "+short(c.RejectsWithin))
	}
	if c.FreedWithin > 0 {
		parts = append(parts, "free again within "+short(c.FreedWithin))
	}
	return fmt.Sprintf("bulkhead of %s over %s: %s", orAll(c.Route), c.Link, strings.Join(parts, ", "))
}

func (c Bulkhead) goodput() float64 {
	if c.Goodput > 0 {
		return float64(c.Goodput)
	}
	return 0.95
}

func (c Bulkhead) slowdown() float64 {
	if c.Slowdown > 0 {
		return c.Slowdown
	}
	return 1.5
}

// saturation is what one episode of faults did to the bulkhead.
type saturation struct {
	span
	peak     int        // most calls in progress
	sure     int        // the same, less what the relay may have seen late
	end      int        // the same of its last third
	rejected rejections // calls turned away
	fullAt   []int      // calls in progress when calls were turned away or kept waiting, and nothing else happened
	level    int        // calls in progress when half of those turned away were, or fewer
	top      int        // the same for nine tenths
}

// rejections is the calls that failed without ever reaching the link.
type rejections struct {
	arrivals
	levels []int32 // of each: most calls in progress on the link meanwhile
}

// plateau reports whether calls were turned away at about one level: that of a
// full bulkhead, whatever its size, also while it shrinks. A breaker turns them
// away most of all when nothing is in progress.
func (e saturation) plateau() bool {
	full := e.full().len()
	return full >= leastPlateau && 5*full >= 4*e.rejected.len()
}

// full lists the calls that were turned away at about that level: half of it
// at least, for a place may be taken while the link does not show it.
func (e saturation) full() arrivals {
	places := make([]int32, 0, e.rejected.len())
	for i, level := range e.rejected.levels {
		if level > 0 && 2*int(level) >= e.level {
			places = append(places, e.rejected.place(i))
		}
	}
	return at(e.rejected.of, places)
}

// slows reports whether the episode's faults keep calls in progress.
func (e saturation) slows() bool {
	return slices.ContainsFunc(e.faults, func(f evidence.Injection) bool {
		does := f.Does()
		return does.Delays || does.Slows || does.Holds
	})
}

// Judge implements Claim.
func (c Bulkhead) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "bulkhead")
	f.over(c.Link)
	link := run.Links[c.Link]
	if link == nil || len(link.Exchanges) == 0 {
		f.open("", "no call went over %q"+noCalls, c.Link)
		return f.verdict()
	}
	for _, route := range append([]string{c.Route}, c.Unaffected...) {
		if _, ok := samplesOf(run, route); !ok {
			f.open("", noRoute, route)
			return f.verdict()
		}
	}
	f.show(func() Exhibit { return levelOf(run, link, c.Limit) })
	here := func(i evidence.Injection) bool { return onPath(link, i) }
	spans := episodes(run, 0, here)
	hits := hitOf(link, spans)
	f.numbers.Add("faulty_episodes", float64(len(spans)))
	f.numbers.Add("calls_hit", float64(hits))
	switch {
	case len(spans) == 0:
		f.open("", "%s: nothing drowned: add latency or a partition of it", noEpisode(run, " on "+strconv.Quote(c.Link), here))
		return f.verdict()
	case hits < leastHits:
		f.open("", "the faults on %q hit only %s; at least %d are needed: "+
			"let them last for longer, or offer more", c.Link, were(hits, "call", "calls"), leastHits)
		return f.verdict()
	}
	f.rests(0, min(spans[len(spans)-1].to, horizon(run)), c.leans())
	noise := run.Noise(spans[0].from, run.End)
	f.numbers.AddTime("noise", noise)
	own := callers(run, link, c.Route)
	fills := saturations(run, link, own, spans, noise)

	c.judgeLimit(f, link, fills, noise)
	c.judgeRejects(f, link, own, fills)
	var kept returnedPlaces
	if late := otherLoad(run, 0, spans[len(spans)-1].to); late == "" {
		for _, route := range c.Unaffected {
			c.judgeUnaffected(f, route, spans)
		}
		kept = c.judgeFreed(f, link, own, fills)
	} else {
		c.unjudged(f, late)
	}
	c.judgeLeaks(f, link, fills, kept)
	if unfinished(run, c.Link) {
		f.open("", "the run was cut before its faults on %q were over"+toTheEnd, c.Link)
	}
	return f.verdict()
}

// leans is what the keys that are given depend on. The limit is a count. What
// becomes of a load that was another one than declared is asked for the keys that
// compare one time with another.
func (c Bulkhead) leans() leaning {
	if len(c.Unaffected) > 0 || c.RejectsWithin > 0 || c.FreedWithin > 0 {
		return onTimes | onDue
	}
	return onTimes
}

// unjudged leaves open what compares one time of the run with another.
func (c Bulkhead) unjudged(f *finding, why string) {
	if len(c.Unaffected) > 0 {
		f.open("unaffected", "%s", why)
	}
	if c.FreedWithin > 0 {
		f.open("freed_within", "%s", why)
	}
}

// saturations is what each episode did.
func saturations(run *evidence.Run, link *evidence.Link, own arrivals, spans []span, noise time.Duration) []saturation {
	profile, sure := profileOver(run, link, asSeen), profileOver(run, link, late(noise))
	way, known := wayOf(untouched(run, own), link)
	fills := make([]saturation, len(spans))
	for i, s := range spans {
		e := saturation{span: s}
		e.peak, _ = profile.most(s.from, s.to)
		e.sure, _ = sure.most(s.from, s.to)
		e.end, _ = sure.most(s.to-s.length()/3, s.to)
		if propagates(link) {
			e.fill(run, link, due(own, s.from, s.to), profile, way, known)
		}
		fills[i] = e
	}
	return fills
}

// fill finds which of some requests were turned away or kept waiting.
func (e *saturation) fill(run *evidence.Run, link *evidence.Link, own arrivals, profile profile, way time.Duration, known bool) {
	var places []int32
	for i, x := range own.all() {
		if x.Outcome == load.Unsent || x.Outcome == load.Refused {
			continue
		}
		settled := way + run.Noise(x.Sent, x.Sent)
		calls := link.CausedBy(x.ID)
		switch {
		case len(calls) == 0 && x.Outcome != load.OK:
			level, _ := profile.most(x.Sent, x.Done)
			places, e.rejected.levels = append(places, own.place(i)), append(e.rejected.levels, int32(level))
			if profile.still(x.Sent-settled, x.Done+settled) {
				e.fullAt = append(e.fullAt, level)
			}
		case len(calls) > 0 && known && link.Exchanges[calls[0]].Begin > x.Sent+2*settled &&
			profile.still(x.Sent-settled, x.Sent+2*settled):
			level, _ := profile.most(x.Sent, x.Sent)
			e.fullAt = append(e.fullAt, level)
		}
	}
	e.rejected.arrivals = at(own.of, places)
	if levels := slices.Sorted(slices.Values(e.rejected.levels)); len(levels) > 0 {
		e.level, e.top = int(levels[len(levels)/2]), int(levels[len(levels)*9/10])
	}
}

// wayOf is how long it takes from sending a request until its call begins, 99
// times of 100, while nothing is wrong. It is false if too few are known.
func wayOf(before arrivals, link *evidence.Link) (way time.Duration, known bool) {
	var ways []time.Duration
	for _, x := range before.all() {
		if calls := link.CausedBy(x.ID); len(calls) > 0 {
			ways = append(ways, link.Exchanges[calls[0]].Begin-x.Sent)
		}
	}
	return max(0, percentile(ways, 0.99)), len(ways) >= leastBaseline
}

// full is the number of calls at which the bulkhead was seen to be full: while
// so many were in progress, and for longer than a call can be on its way none
// began and none ended, others were turned away or kept waiting. It is false if
// that was not seen.
func full(fills []saturation) (level int, seen bool) {
	at := map[int]int{}
	for _, e := range fills {
		for _, n := range e.fullAt {
			at[n]++
		}
	}
	for n, times := range at {
		if times >= leastPlateau && n > level {
			level, seen = n, true
		}
	}
	return level, seen
}
