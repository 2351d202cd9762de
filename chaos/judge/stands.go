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

// Stands claims that routes go on succeeding while a dependency is lost, in each way
// in which the run loses it: a fallback that is taken on an error need not be taken
// when nothing comes back.
//
// A dependency is lost while a fault takes all calls to it. What counts is how
// requests ended that were due then. One that succeeded only after the healing,
// having waited for longer than any that was served before it, was not served without
// the dependency; of one that had waited for less nothing is known, and it is left out.
type Stands struct {
	Without string   `yaml:"without"` // The link whose loss the routes survive.
	Routes  []string `yaml:"routes"`  // The routes that go on.
	// At least this share of each route's requests succeeds, in each way of losing it; absent means 99%.
	Success unit.Share `yaml:"success"`
}

// leastLost is how many requests it takes to speak of a route without the link.
const leastLost = 30

func (c Stands) success() float64 {
	if c.Success == 0 {
		return 0.99
	}
	return float64(c.Success)
}

func (c Stands) String() string {
	return fmt.Sprintf("%s without %s: %s succeed", strings.Join(c.Routes, ", "), c.Without, unit.Share(c.success()))
}

// loss is a way of losing a dependency.
type loss uint8

const (
	lossByErrors loss = iota
	lossByEnd
	lossByHang
	losses
)

// lossTexts are what calls see of a loss, and what would show it.
var lossTexts = [losses]struct{ seen, add string }{
	{"answered errors", "errors with a status of 500 or more"},
	{"broke calls off", "reset, or kill of what it leads to"},
	{"hung", "hang or partition"},
}

// lossOf is how a fault loses its dependency; false if calls succeed in spite of it.
func lossOf(f *evidence.Injection) (loss, bool) {
	switch does := f.Does(); {
	case does.Holds:
		return lossByHang, true
	case does.Answers:
		return lossByErrors, !slices.ContainsFunc(f.Statuses, func(status int) bool { return status < 500 })
	case does.Refuses, does.Strikes, does.Ends:
		return lossByEnd, true
	}
	return 0, false
}

// Judge implements Claim.
func (c Stands) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "stands")
	f.over(c.Without)
	link := run.Links[c.Without]
	if link == nil {
		f.open("", "the run has no link %q", c.Without)
		return f.verdict()
	}
	var shown [losses][]span
	lost := func(x evidence.Injection) bool { _, ok := lossOf(&x); return ok && onPath(link, x) }
	spans := episodes(run, -1, lost)
	for _, s := range spans {
		way, _ := lossOf(&s.faults[0])
		if why := c.spoilt(run, link, s, way); why != "" {
			f.open("success", "the fault on %q at %s does not count: %s", c.Without, short(s.from), why)
			continue
		}
		f.rests(s.from, s.to, onDue|onLoad)
		shown[way] = append(shown[way], s)
	}
	if len(spans) == 0 {
		f.open("success", "%s that takes calls away", noEpisode(run, " on "+strconv.Quote(c.Without), lost))
		return f.verdict()
	}
	var served []uint64
	for way, during := range shown {
		if len(during) == 0 {
			f.remark("success", "that %q %s was not shown: %s would", c.Without, lossTexts[way].seen, lossTexts[way].add)
			continue
		}
		for _, route := range c.Routes {
			served = append(served, c.judgeRoute(f, route, loss(way), during))
		}
	}
	f.typical("", "requests that were served without "+c.Without, served...)
	return f.verdict()
}

// spoilt says why the span of a fault does not show what happens without the link;
// "" if it does.
func (c Stands) spoilt(run *evidence.Run, link *evidence.Link, s span, way loss) string {
	for i := range s.faults {
		if other, _ := lossOf(&s.faults[i]); other != way {
			return "another overlaps it, which takes calls away in another way"
		}
	}
	for _, other := range run.Faults {
		if other.Injected >= 0 && other.Injected < s.to && (other.Healed < 0 || other.Healed > s.from) && !onPath(link, other) {
			return fmt.Sprintf("%q was in force elsewhere meanwhile, so that a failure may be its doing", other.Name)
		}
	}
	if own := s.faults[0]; own.OnTarget() || !own.Does().Marks {
		return ""
	}
	calls, hit := 0, 0
	for _, x := range link.Window(s.from, s.to) {
		calls++
		if s.hit(&x) {
			hit++
		}
	}
	if hit < calls-calls/20 {
		return fmt.Sprintf("it took only %d of %s: one that takes all of them shows what happens without %q",
			hit, were(calls, "call", "calls"), c.Without)
	}
	return ""
}

// judgeRoute rules on a route while the link is lost in one way. It returns the id of a
// request that was served meanwhile; 0 if none was.
func (c Stands) judgeRoute(f *finding, route string, way loss, during []span) (example uint64) {
	all, ok := samplesOf(f.run, route)
	if !ok {
		f.open("success", "the run has no route %q", route)
		return 0
	}
	before := untouched(f.run, all)
	usual := percentile(serviceTimes(before.where(func(s *load.Sample) bool { return s.Outcome == load.OK })), 0.99)
	var without []load.Sample
	offered := 0
	for _, s := range during {
		these := due(all, s.from, s.to)
		offered += these.len()
		without = append(without, withoutLink(these, s.to, usual)...)
	}
	samples := every(without)
	if need := max(leastLost, offered/2); samples.len() < need {
		f.open("success", "only %d of %d requests of %q can tell how it does while %q %s, the others were under way at the healing, and "+
			"at least %d are needed: let the fault last longer, or offer more", samples.len(), offered, route, c.Without,
			lossTexts[way].seen, need)
		return 0
	}
	served := countOK(samples)
	share := float64(served) / float64(samples.len())
	f.numbers.Add(route+"_success_pct_"+[losses]string{"errors", "broken", "hang"}[way], 100*share)
	seen := goodputOf(f.run, samples)
	if c.success() >= 1 && served == samples.len() {
		seen = exactly(1) // no sample: not one may fail, and none did
	}
	f.rule(measure{name: "success", unit: shared, seen: seen, allowed: atLeast(c.success()), sample: samples.len(), ids: failures(samples),
		says: fmt.Sprintf("%d of %d requests of %q succeeded while %q %s", served, samples.len(), route, c.Without, lossTexts[way].seen),
		refutes: fmt.Sprintf("only %d of %d requests of %q succeeded while %q %s", served, samples.len(), route, c.Without,
			lossTexts[way].seen),
		settle: "more requests while it is lost would tell: a longer fault, or a higher rate"})
	for _, s := range samples.all() {
		if s.Outcome == load.OK {
			return s.ID
		}
	}
	return 0
}

// withoutLink are the requests, of those due before a healing, that tell how the
// system does without the link. Usual is how long one takes when nothing is wrong.
func withoutLink(samples arrivals, healed, usual time.Duration) (tell []load.Sample) {
	served := usual
	for _, s := range samples.all() {
		if s.Outcome == load.OK && s.Done <= healed {
			served = max(served, s.ServiceTime())
		}
	}
	for _, s := range samples.all() {
		x := *s
		if x.Done > healed {
			if healed-x.Sent <= served {
				continue
			}
			if x.Outcome == load.OK {
				x.Outcome = load.TimedOut // the dependency was back by then
			}
		}
		tell = append(tell, x)
	}
	return tell
}
