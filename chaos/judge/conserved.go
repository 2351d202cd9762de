package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
)

// Conserved claims that what there is in all neither grows nor shrinks, whatever was cut off
// halfway: money, stock, seats. It says so in one of three ways.
//
// equals: an audit finds the same number in the end as there was at the beginning.
// equals_audit: two audits find the same, as the sum of all events and the balance that was
// kept of them; of audits of ids, each as often in one as in the other. pairs: at the links,
// each request did all of its steps once and undid none, or undid each that it did. It is
// judged when things have settled, for in between it may be untrue.
type Conserved struct {
	Audit  string   `yaml:"audit"`  // The audit that finds how much there is; absent means pairs.
	Equals *float64 `yaml:"equals"` // Exactly so much; absent is not judged.
	// The audit that finds the same, a number or the same ids; absent is not judged.
	EqualsAudit string `yaml:"equals_audit"`
	// Of equals: so also each time that the audit was asked while there was load; absent means only in the end.
	Throughout bool `yaml:"throughout"`
	// The steps of a request, in order, each with what undoes it; absent is not judged.
	Pairs []Pair `yaml:"pairs"`
	// Of pairs: at most so long from a request's first step, or from a healing after it, until all is done or undone; absent is not judged.
	Within time.Duration `yaml:"within"`
	// Of pairs: what the dependencies do with several calls of one Idempotency-Key: honoured, they are one effect, or ignored, each is
	// one; absent means that it is not known.
	Keys  string `yaml:"keys"`
	Route string `yaml:"route"` // The route whose requests are at risk; absent means all.
}

// Pair is a step of a request, and what undoes it. Both are a method and a path, like POST /reserve; a path that ends
// with * is the beginning of one.
type Pair struct {
	Do   string `yaml:"do"`   // The call that does it: POST /reserve.
	Undo string `yaml:"undo"` // The call that undoes it: POST /release.
	At   string `yaml:"at"`   // The link that both go over.
}

// leastHalfway is how many requests must have been at risk, or left off halfway.
const leastHalfway = 20

func (c Conserved) String() string {
	switch {
	case len(c.Pairs) > 0:
		return fmt.Sprintf("all of %s are done, or each is undone", unit.List(c.Pairs, ", ", func(p Pair) string { return p.Do }))
	case c.EqualsAudit != "":
		return fmt.Sprintf("%s finds the same as %s", c.Audit, c.EqualsAudit)
	case c.Equals != nil:
		return fmt.Sprintf("%s is %s", c.Audit, counted.print(*c.Equals))
	}
	return c.Audit + " is conserved"
}

// Judge implements Claim.
func (c Conserved) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "conserved")
	f.factual()
	if _, known := samplesOf(run, c.Route); !known {
		f.open("route", noRoute, c.Route)
		return f.verdict()
	}
	switch {
	case run.Brief:
		f.open("", "what there is shows when the run is over")
	case len(c.Pairs) > 0:
		c.judgePairs(f)
	case c.EqualsAudit != "":
		c.judgeSame(f)
		c.atRisk(f)
	case c.Equals != nil:
		c.judgeEquals(f)
		c.atRisk(f)
	default:
		f.open("", "it claims nothing: give equals, equals_audit or pairs")
	}
	return f.verdict()
}

// atRisk asks for requests that were under way when something was lost, or since a second before. One
// that nobody got moves nothing.
func (c Conserved) atRisk(f *finding) {
	all, _ := samplesOf(f.run, c.Route)
	any := func(evidence.Injection) bool { return true }
	spans := episodes(f.run, 0, any)
	if len(spans) == 0 {
		f.open("tested", "%s: kill what moves things while it moves them, or fail one of its calls", noEpisode(f.run, "", any))
		return
	}
	n := 0
	for _, s := range all.all() {
		came := s.Outcome != load.Unsent && s.Outcome != load.Refused
		if came && slices.ContainsFunc(spans, func(x span) bool { return s.Sent <= x.to && s.Done >= x.from-riskFor }) {
			n++
		}
	}
	f.numbers.Add("at_risk", float64(n))
	if n < leastHalfway {
		f.open("tested", "only %s under way while a fault was in force, or within %s before, and at least %d are needed: "+
			"offer more, or let it last longer",
			were(n, "request was", "requests were"), short(riskFor), leastHalfway)
	}
}

// judgeEquals rules on the number that an audit found.
func (c Conserved) judgeEquals(f *finding) {
	p := place{name: c.Audit, audit: f.run.Audit(c.Audit)}
	if why := p.untold(f.run); why != "" {
		f.open("equals", "%s", why)
		return
	}
	if why := unsettled(p.audit); why != "" {
		f.open("equals", "%s", why)
		return
	}
	if p.audit.Number == nil {
		f.open("equals", "audit %s has no number: give it number: json:$.sum", c.Audit)
		return
	}
	last := *p.audit.Number
	seen, samples, unread := exactly(last), 1, 0
	points := []Point{}
	for i := range f.run.Audits {
		a := &f.run.Audits[i]
		switch {
		case a.Name != c.Audit || !a.During:
			continue
		case !a.Whole || a.Number == nil:
			unread++
			continue
		}
		if len(points) < MaxSamples-1 {
			points = append(points, Point{evidence.Seconds(a.At), *a.Number})
		}
		if c.Throughout {
			samples++
			seen = seen.or(exactly(*a.Number))
		}
	}
	f.numbers.Add("found", last)
	m := measure{name: "equals", seen: seen, allowed: Bound{*c.Equals, *c.Equals}, sample: samples,
		says: fmt.Sprintf("%s finds %s in the end", c.Audit, counted.print(last))}
	if c.Throughout {
		m.says += fmt.Sprintf(", and %s to %s in all of %s", counted.print(seen.Low), counted.print(seen.High),
			were(samples, "sample", "samples"))
		if samples == 1 {
			f.open("throughout", "audit %s was not asked while there was load: give it every: 1s", c.Audit)
		}
	}
	if seen.Low < seen.High { // not one figure, but several: each must be right
		far := seen.Low
		if math.Abs(seen.High-*c.Equals) > math.Abs(seen.Low-*c.Equals) {
			far = seen.High
		}
		m.seen = exactly(far)
	}
	m.refutes = fmt.Sprintf("%s, %s off", m.says, counted.print(math.Abs(m.seen.Low-*c.Equals)))
	f.rule(m)
	if unread > 0 {
		f.remark("equals", "%s not answered while there was load", were(unread, "audit was", "audits were"))
	}
	if len(points) > 0 {
		points = append(points, Point{evidence.Seconds(p.audit.At), last})
		f.show(func() Exhibit {
			return Exhibit{Kind: KindGrowth, Part: "equals", Title: m.says,
				Growth: &Trend{Of: c.Audit, Points: points, At0: *c.Equals, Against: "claimed"}}
		})
	}
}

// foreignIn is how many entries of an audit are no id of this run.
func foreignIn(a *evidence.Audit) (n int) {
	for _, id := range a.IDs {
		if id == load.ForeignValue {
			n++
		}
	}
	return n
}

// judgeSame rules on what two audits found.
func (c Conserved) judgeSame(f *finding) {
	a, b := place{name: c.Audit, audit: f.run.Audit(c.Audit)}, place{name: c.EqualsAudit, audit: f.run.Audit(c.EqualsAudit)}
	for _, p := range []place{a, b} {
		if why := cmp.Or(p.untold(f.run), unsettled(p.audit)); why != "" {
			f.open("equals_audit", "%s", why)
			return
		}
	}
	if (a.audit.Number == nil) != (b.audit.Number == nil) {
		f.open("equals_audit", "one of %s and %s has a number and the other has none: let both have number, or both ids", a.name, b.name)
		return
	}
	if a.audit.Number != nil {
		x, y := *a.audit.Number, *b.audit.Number
		f.numbers.Add("found", x)
		f.numbers.Add("other_found", y)
		f.rule(measure{name: "equals_audit", seen: exactly(x - y), allowed: Bound{0, 0}, sample: 1,
			says: fmt.Sprintf("%s finds %s, and %s finds %s", a.name, counted.print(x), b.name, counted.print(y))})
		return
	}
	times := map[uint64]int{}
	for _, id := range a.audit.IDs {
		times[id]++
	}
	for _, id := range b.audit.IDs {
		times[id]--
	}
	foreignA, foreignB := foreignIn(a.audit), foreignIn(b.audit)
	delete(times, load.ForeignValue)
	differ := min(1, max(foreignA-foreignB, foreignB-foreignA)) // which they are is not known, but how many
	var ids []uint64
	for id, n := range times {
		if n != 0 {
			differ++
			ids = append(ids, id)
		}
	}
	f.numbers.Add("entries", float64(len(a.audit.IDs)))
	f.numbers.Add("differ", float64(differ))
	switch {
	case len(a.audit.IDs) == 0 && len(b.audit.IDs) == 0:
		f.open("equals_audit", "neither %s nor %s has an entry: let something happen", a.name, b.name)
		return
	case len(times) == 0 && foreignA == foreignB:
		f.open("equals_audit", "%s and %s have no entry of this run, and %d each of something else: is ids: where the ids are?", a.name,
			b.name, foreignA)
		return
	}
	f.rule(measure{name: "equals_audit", seen: interval(differ, differ+foreignA+foreignB), allowed: atMost(0), sample: len(a.audit.IDs),
		ids: ids, hidden: fmt.Sprintf("%s of %s and %d of %s that are not of this run", were(foreignA, "entry", "entries"), a.name,
			foreignB, b.name),
		settle:  "begin with an empty store, or let both find the ids of requests",
		says:    fmt.Sprintf("%s and %s have the same %s", a.name, b.name, were(len(a.audit.IDs), "entry", "entries")),
		refutes: fmt.Sprintf("%d ids are not as often in %s as in %s", differ, a.name, b.name)})
}
