package judge

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// A region that is lost is failed over from when its callers are served again by another
// one. Three things go wrong with that, and each has a part of its own:
//
//	slow      ████░░░░░░░░░░░░████   within: how long until a second in which they are served
//	flapping  ████░░██░░██░░██████   stays: how often they are lost again after that
//	lossy     ████░░▓▓▓▓▓▓▓▓▓▓████   success: which share succeeds from then on
//
// What is served and what is lost lie far apart, so that a failover with losses is told
// from one that comes and goes: by success, which is counted, and not by chance.
const (
	regainedShare = 0.9 // of the requests due in a second succeed, at least: they are served
	lostShare     = 0.5 // fewer of them succeed: they are lost again

	keptShare = 0.99                   // of its successes another region keeps at least
	longerBy  = 100 * time.Millisecond // its p99 may be, whatever it was, and by as much as it was
)

func (c Failover) ofRegion() string {
	parts := []string{fmt.Sprintf("served again within %s", short(c.Within))}
	if len(c.Routes) > 0 {
		parts[0] = strings.Join(c.Routes, ", ") + " " + parts[0]
	}
	if c.Success > 0 {
		parts = append(parts, fmt.Sprintf("%s succeed then", c.Success))
	}
	if c.OtherRegions != "" {
		parts = append(parts, "other regions unaffected")
	}
	return fmt.Sprintf("failover of region %s: %s", c.Region, strings.Join(parts, ", "))
}

// selects are the names by which the claim's requests are found.
func (c Failover) selects() []string {
	if len(c.Routes) == 0 {
		return []string{evidence.FromRegion("", c.Region)}
	}
	var names []string
	for _, route := range c.Routes {
		names = append(names, evidence.FromRegion(route, c.Region))
	}
	return names
}

// own are the claim's requests; the text says of which there are none.
func (c Failover) own(run *evidence.Run) (all arrivals, missing string) {
	var lists []arrivals
	for _, name := range c.selects() {
		list, ok := samplesOf(run, name)
		if !ok {
			return all, fmt.Sprintf("no request of %s comes from region %s: name one of load.from",
				cmp.Or(strings.Join(c.Routes, ", "), "all routes"), c.Region)
		}
		lists = append(lists, list)
	}
	return joined(lists...).ordered(func(a, b *load.Sample) int { return cmp.Compare(a.Intended, b.Intended) }), ""
}

// judgeRegion rules on what callers from a region, and from the others, had while it
// was lost.
func (c Failover) judgeRegion(f *finding, lost []evidence.Injection) {
	own, missing := c.own(f.run)
	switch {
	case missing != "":
		f.open("within", "%s", missing)
		return
	case len(lost) == 0:
		f.open("within", "%s", noEpisode(f.run, " that takes region "+c.Region+" away", c.picks))
		return
	}
	var spans []span
	for i, x := range lost {
		s := span{from: x.Injected, to: x.Healed, healed: x.Healed >= 0, faults: lost[i : i+1]}
		if until := untilNext(f.run, lost, i); !s.healed || s.to > until {
			s.to = until
		}
		s.to = max(s.from, s.to)
		spans = append(spans, s)
	}
	leans := onDue | onLoad
	if c.OtherRegions != "" {
		leans |= onTimes
		f.rests(0, spans[0].from, leans)
	}
	f.rests(spans[0].from, spans[len(spans)-1].to, leans)
	f.show(func() Exhibit { return c.successOver(f.run, own, spans) })
	if all, ok := c.regained(f, own, spans); ok {
		c.judgeAgain(f, all)
		c.judgeStays(f, all)
		c.judgeSince(f, all)
	}
	if c.OtherRegions != "" {
		c.judgeOthers(f, spans)
	}
}

// regained is what became of a region's callers after one loss.
type regained struct {
	span
	seen   Interval      // how long it took until they were served
	at     time.Duration // when they were, as far as is known
	never  bool          // they were not
	failed []uint64      // until then
	since  arrivals      // due since then, while the region was lost
}

// regained finds it for each loss; false if there is too little to see.
func (c Failover) regained(f *finding, own arrivals, spans []span) (all []regained, ok bool) {
	for _, s := range spans {
		after := due(own, s.from, s.to)
		if after.len() < backLeast {
			f.open("within", "only %s from %s fell due while it was lost from %s to %s: offer more, or let it last longer",
				were(after.len(), "request", "requests"), c.Region, short(s.from), short(s.to))
			return nil, false
		}
		r := regained{span: s}
		surely, never := servedFrom(after, s, func(x *load.Sample) bool { return x.Outcome == load.OK })
		perhaps, _ := servedFrom(after, s, func(x *load.Sample) bool { return x.Outcome == load.OK || excused(f.run, x) })
		r.seen = Interval{max(0, float64(perhaps.from-s.from-f.run.Noise(s.from, s.from))), float64(surely.to - s.from)}
		r.at, r.never = surely.to, never
		if never {
			r.seen.High = math.Inf(1)
		}
		r.failed = failures(due(after, s.from, r.at))
		r.since = due(after, r.at, s.to)
		if x := s.faults[0]; r.at == s.from && x.Kind == "region_loss" && len(x.Links) > 0 && x.Hit == 0 {
			f.open("within", "nothing failed, and no call went over %s while the region was lost at %s: it was not put to the test. "+
				"Let its callers be served there before", strings.Join(x.Links, ", "), short(s.from))
			return nil, false
		}
		all = append(all, r)
	}
	return all, true
}

// excused reports whether it may be the harness's or the host's doing that a request did
// not succeed.
func excused(run *evidence.Run, x *load.Sample) bool {
	return x.Outcome.Ours() || x.Outcome != load.OK && run.Noise(x.Intended, x.Done) >= upset
}

// servedFrom is between which two requests the first second begins in which callers are
// served: it begins with one that succeeds, or with the loss.
func servedFrom(after arrivals, s span, served func(*load.Sample) bool) (at stretch, never bool) {
	before := s.from
	found := false
	secondsOf(after, s, served, func(i int, start time.Duration, n, ok int) bool {
		if found = float64(ok) >= regainedShare*float64(n) && (i == 0 || served(after.get(i))); found {
			at = stretch{before, start}
			return false
		}
		before = after.get(i).Intended
		return true
	})
	if !found {
		return stretch{max(s.from, s.to-backFor), s.to}, true
	}
	return at, false
}

// secondsOf calls each with the seconds that begin with a request, the first one with the
// span, end within it and have backLeast requests: with its number, where the second
// begins, how many are due in it and how many of them were served. It ends once each
// returns false.
func secondsOf(all arrivals, s span, served func(*load.Sample) bool, each func(i int, start time.Duration, n, ok int) bool) {
	end, ok := 0, 0
	for i := range all.len() {
		start := all.get(i).Intended
		switch {
		case i == 0:
			start = s.from
		case end < i: // the one before was in no second
			end = i
		case served(all.get(i - 1)):
			ok--
		}
		if start+backFor > s.to {
			return
		}
		for ; end < all.len() && all.get(end).Intended < start+backFor; end++ {
			if served(all.get(end)) {
				ok++
			}
		}
		if end-i >= backLeast && !each(i, start, end-i, ok) {
			return
		}
	}
}

// judgeAgain rules on how soon they were served.
func (c Failover) judgeAgain(f *finding, all []regained) {
	longest, ids, took := Interval{}, []uint64{}, time.Duration(0)
	for _, r := range all {
		took = max(took, r.at-r.from)
		if r.seen.High > longest.High {
			longest, ids = r.seen, r.failed
		}
	}
	f.numbers.Add("losses", float64(len(all)))
	f.numbers.AddTime("served_again_after", took)
	says := fmt.Sprintf("callers from %s were served again %s after the loss", c.Region, short(took))
	if len(all) > 1 {
		says = fmt.Sprintf("callers from %s were served again %s after the loss at most, of %d losses", c.Region, short(took), len(all))
	}
	switch {
	case math.IsInf(longest.High, 1):
		says = fmt.Sprintf("callers from %s were not served again in the %s that the region was lost", c.Region, short(took))
	case took == 0:
		says = fmt.Sprintf("callers from %s were served all along", c.Region)
	}
	f.rule(measure{name: "within", unit: timed, seen: longest, allowed: atMost(c.Within), sample: len(all), ids: ids, says: says,
		hidden: "how far apart requests were due", settle: "more load, a longer loss, or a bound further from the figure"})
}

// judgeStays rules on how often they were lost again, once they were served.
func (c Failover) judgeStays(f *finding, all []regained) {
	least, most, n := 0, 0, 0
	var ids []uint64
	first := time.Duration(-1)
	for _, r := range all {
		if r.never {
			continue
		}
		n++
		since := span{from: r.at, to: r.to}
		possible, at, lost := lostAgain(r.since, since, func(x *load.Sample) bool { return x.Outcome == load.OK })
		certain, _, _ := lostAgain(r.since, since, func(x *load.Sample) bool { return x.Outcome == load.OK || excused(f.run, x) })
		least, most, ids = least+certain, most+possible, append(ids, lost...)
		if possible > 0 && first < 0 {
			first = at - r.from
		}
	}
	if n == 0 {
		return // within says so
	}
	f.numbers.Add("lost_again", float64(most))
	m := measure{name: "stays", seen: interval(least, max(least, most)), allowed: atMost(0), sample: n, ids: ids,
		says: fmt.Sprintf("callers from %s stayed served", c.Region), settle: "a host with cores to spare would tell"}
	if most > 0 {
		m.says = fmt.Sprintf("callers from %s were lost again %s while the region was, the first time %s after the loss",
			c.Region, often(most), short(first))
	}
	f.rule(m)
}

// lostAgain counts how often callers were lost after they had been served, when that was
// for the first time, and requests that show it.
func lostAgain(since arrivals, s span, served func(*load.Sample) bool) (n int, first time.Duration, ids []uint64) {
	lost := false
	secondsOf(since, s, served, func(i int, start time.Duration, due, ok int) bool {
		switch share := float64(ok) / float64(due); {
		case !lost && share < lostShare:
			if n++; n == 1 {
				first = start
			}
			lost = true
			ids = append(ids, failures(since.part(i, i+due))...)
		case lost && share >= regainedShare:
			lost = false
		}
		return true
	})
	return n, first, ids
}

// judgeSince rules on the share that succeeds once they are served.
func (c Failover) judgeSince(f *finding, all []regained) {
	if c.Success == 0 {
		return
	}
	var lists []arrivals
	for _, r := range all {
		if !r.never {
			lists = append(lists, r.since)
		}
	}
	since := joined(lists...)
	if since.len() < leastLost {
		f.open("success", "only %s from %s fell due once they were served again, and at least %d are needed: let the loss last longer",
			were(since.len(), "request", "requests"), c.Region, leastLost)
		return
	}
	ok := countOK(since)
	f.numbers.Add(c.Region+"_success_pct", 100*float64(ok)/float64(since.len()))
	seen := goodputOf(f.run, since)
	if c.Success >= 1 && ok == since.len() {
		seen = exactly(1) // no sample: not one may fail, and none did
	}
	f.rule(measure{name: "success", unit: shared, seen: seen, allowed: atLeast(float64(c.Success)), sample: since.len(),
		ids: failures(since), says: fmt.Sprintf("%d of %d requests from %s succeeded once they were served again", ok,
			since.len(), c.Region),
		refutes: fmt.Sprintf("only %d of %d requests from %s succeeded once they were served again", ok, since.len(), c.Region)})
}

// judgeOthers compares each other region with itself before the first fault.
func (c Failover) judgeOthers(f *finding, spans []span) {
	others := 0
	for _, region := range f.run.Regions() {
		if region == c.Region {
			continue
		}
		others++
		all, _ := samplesOf(f.run, evidence.FromRegion("", region))
		before := untouched(f.run, all).where(func(s *load.Sample) bool { return s.Outcome != load.Unsent })
		during := make([]arrivals, len(spans))
		for i, s := range spans {
			during[i] = due(all, s.from, s.to)
		}
		within := joined(during...)
		if before.len() < leastBaseline || within.len() < leastBaseline || countOK(before) == 0 {
			f.open("other_regions", "%s from %s succeeded before the first fault, and %d were due during the loss; at least %d each "+
				"are needed: let it begin later and last for longer, or offer more",
				were(countOK(before), "request", "requests"), region, within.len(), leastBaseline)
			continue
		}
		if c.judgeKept(f, region, before, within) != Refuted {
			c.judgeLonger(f, region, before, within)
		}
	}
	if others == 0 {
		f.open("other_regions", "there is none: arrivals come from %s alone", c.Region)
	}
}

// judgeKept rules on the successes of another region.
func (c Failover) judgeKept(f *finding, region string, before, within arrivals) Ruling {
	ok := countOK(within)
	f.numbers.Add(region+"_success_pct", 100*float64(ok)/float64(within.len()))
	share, usual := float64(ok)/float64(within.len()), float64(countOK(before))/float64(before.len())
	return f.rule(measure{name: "other_regions", unit: shared, seen: kept(goodputOf(f.run, before), goodputOf(f.run, within)),
		allowed: atLeast(keptShare), sample: within.len(), ids: failures(within),
		says: fmt.Sprintf("callers from %s kept %.4g%% of their successes", region, 100*min(share/usual, 1)),
		refutes: fmt.Sprintf("callers from %s were affected: %.3g%% of their %d requests succeeded during the loss, %.4g%% before",
			region, 100*share, within.len(), 100*usual),
		settle: "too few to tell chance from harm: a higher rate or a longer loss would tell"})
}

// judgeLonger rules on how much longer their p99 was.
func (c Failover) judgeLonger(f *finding, region string, before, within arrivals) {
	p0, p1 := p99(f.run, before), p99(f.run, within)
	usual := calmest(f.run, before, 0.99)
	f.numbers.AddTime(region+"_baseline_p99", time.Duration(min(p0.High, math.MaxInt64/2)))
	if !math.IsInf(p1.High, 1) {
		f.numbers.AddTime(region+"_p99", time.Duration(p1.High))
	}
	may := max(float64(longerBy), usual)
	m := measure{name: "latency", unit: timed, seen: Interval{max(0, p1.Low-p0.High), max(0, p1.High-usual)}, allowed: atMost(may),
		sample: within.len(),
		ids:    slower(time.Duration(min(p0.High, math.MaxInt64/2)+may), within),
		says: fmt.Sprintf("the p99 of callers from %s went from %s to %s during the loss", region, timed.print(p0.High),
			timed.print(p1.High)),
		hidden: noiseText(max(f.run.Noise(0, firstInjection(f.run)), f.run.Noise(within.get(0).Intended, within.get(within.len()-1).Done)))}
	m.refutes = fmt.Sprintf("callers from %s were affected: %s", region, m.says)
	f.rule(m)
}

// successOver is the share of the region's requests that succeeded over the run, beside
// what is claimed of it while it is lost.
func (c Failover) successOver(run *evidence.Run, own arrivals, spans []span) Exhibit {
	end := horizon(run)
	s := stretchesOf(0, end, 250*time.Millisecond)
	type key struct {
		failover string
		of       stretching
	}
	points := evidence.Memoized(run, key{strings.Join(c.selects(), ","), s}, recordsOf(run.Samples),
		func() []Point { return s.points(own, dueAt, successOf) })
	ended := endedBy(due(own, 0, spans[0].from), spans[0].from)
	if len(points) == 0 || ended.len() == 0 {
		return Exhibit{}
	}
	baseline, _ := successOf(ended)
	claimed := unit.Share(regainedShare)
	if c.Success > 0 {
		claimed = c.Success
	}
	return Exhibit{Kind: KindGrowth, Part: "within",
		Title: fmt.Sprintf("%.4g%% of the requests from %s succeeded before the region was lost at %s; %s are to succeed %s later",
			baseline, c.Region, short(spans[0].from), claimed, short(c.Within)),
		Growth: &Trend{Of: "success of callers from " + c.Region, Unit: unitNames[shared], Points: points, At0: baseline,
			Allowed: shared.inFile(atLeast(float64(claimed)))}}
}
