package judge

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// What the claims about calls and events mean by keys that are absent, which they cannot
// do without, and what is wrong with them.

func (c *Effects) Defaults() { c.Per, c.Exactly = "id", 1 }

func (Effects) Required() []string { return []string{"at", "route"} }

func (c Effects) Check(report func(field, problem string)) {
	count(report, "exactly", c.Exactly)
	statuses(report, "not_done", c.NotDone)
	if c.Per != "" && !slices.Contains(Pers, c.Per) {
		report("per", fmt.Sprintf("%q is unknown: effects are counted per %s", c.Per, strings.Join(Pers, " or per ")))
	}
	if c.Keys != "" && !slices.Contains(Keyings, c.Keys) {
		report("keys", fmt.Sprintf("%q is unknown: keys are %s", c.Keys, strings.Join(Keyings, " or ")))
	}
	if c.Path != "" && c.Path[0] != '/' {
		report("path", fmt.Sprintf("%q does not begin with /", c.Path))
	}
}

func (c *Ordered) Defaults() { c.Per = "key" }

func (Ordered) Required() []string { return []string{"at", "writes"} }

func (c Ordered) Check(report func(field, problem string)) {
	if c.Per != "" && !slices.Contains(Orders, c.Per) {
		report("per", fmt.Sprintf("%q is unknown: events are in order per %s", c.Per, strings.Join(Orders, " or per ")))
	}
}

func (c *Drains) Defaults() { c.Success = 0.99 }

func (Drains) Required() []string { return []string{"at", "route", "within"} }

func (Pair) Required() []string { return []string{"do", "undo", "at"} }

func (p Pair) Check(report func(field, problem string)) {
	for _, call := range []struct{ key, text string }{{"do", p.Do}, {"undo", p.Undo}} {
		if method, _, ok := parsePair(call.text); call.text != "" && (!ok || method != strings.ToUpper(method)) {
			report(call.key, fmt.Sprintf("%q is no method and path: write it like POST /reserve", call.text))
		}
	}
}

func (c Conserved) Check(report func(field, problem string)) {
	ways := 0
	for _, given := range []bool{c.Equals != nil, c.EqualsAudit != "", len(c.Pairs) > 0} {
		if given {
			ways++
		}
	}
	switch {
	case ways == 0:
		report("", "claims nothing: give equals, equals_audit or pairs")
	case ways > 1:
		report("", "claims several things: give one of equals, equals_audit and pairs, and the others in claims of their own")
	case len(c.Pairs) > 0 && c.Audit != "":
		report("audit", "does not go with pairs, which are seen at links")
	case len(c.Pairs) == 0 && c.Audit == "":
		report("audit", "is missing: it finds how much there is")
	}
	if c.EqualsAudit != "" && c.EqualsAudit == c.Audit {
		report("equals_audit", "is the audit itself")
	}
	if c.Equals != nil && !(math.Abs(*c.Equals) < 1<<53) {
		report("equals", "is above 2^53, up to which numbers are exact")
	}
	if c.Throughout && c.Equals == nil {
		report("throughout", "goes with equals, which is missing")
	}
	if c.Within > 0 && len(c.Pairs) == 0 {
		report("within", "goes with pairs, which is missing")
	}
	if c.Keys != "" && !slices.Contains(Keyings, c.Keys) {
		report("keys", fmt.Sprintf("%q is unknown: keys are %s", c.Keys, strings.Join(Keyings, " or ")))
	}
	for i, p := range c.Pairs {
		switch at := fmt.Sprintf("pairs[%d].undo", i); {
		case p.Do != "" && p.Do == p.Undo:
			report(at, "is the call that it undoes")
		case p.Do != "" && overlap(p.Do, p.Undo):
			report(at, "may be the call that it undoes: a call is one of both only")
		}
	}
}

// overlap reports whether a call may be either of two of a pair.
func overlap(a, b string) bool {
	a, many := strings.CutSuffix(a, "*")
	b, too := strings.CutSuffix(b, "*")
	return a == b || many && strings.HasPrefix(b, a) || too && strings.HasPrefix(a, b)
}

func (c *Shed) Defaults() { c.Goodput, c.Rejects = 0.9, []int{429, 503} }

func (Shed) Required() []string { return []string{"route", "capacity"} }

func (c Shed) Check(report func(field, problem string)) { statuses(report, "rejects", c.Rejects) }

func (Health) Required() []string { return []string{"links"} }

func (c Health) Check(report func(field, problem string)) {
	twoOrMore(report, c.Links)
	count(report, "keeps", c.Keeps)
	if c.Keeps > len(c.Links) && len(c.Links) > 1 {
		report("keeps", fmt.Sprintf("%d is more than there are links", c.Keeps))
	}
	if c.OutWithin == 0 && c.BackWithin == 0 && c.Keeps == 0 {
		report("", "claims nothing: give out_within, back_within or keeps")
	}
}

func (Skew) Required() []string { return []string{"links", "at_most"} }

func (c Skew) Check(report func(field, problem string)) {
	twoOrMore(report, c.Links)
	ratio(report, "at_most", c.AtMost)
}

// twoOrMore checks that there are links to compare, each once.
func twoOrMore(report func(field, problem string), links Links) {
	if len(links) == 1 {
		report("links", "has one link only: give two at least")
	}
	for i, name := range links {
		if slices.Index(links, name) < i {
			report(fmt.Sprintf("links[%d]", i), name+" is given twice")
		}
	}
}

func (c *Available) Defaults() { c.Success = 0.99 }

func (Available) Required() []string { return []string{"routes"} }

func (c Available) Check(report func(field, problem string)) {
	if c.ConvergesWithin > 0 && c.Data == "" {
		report("converges_within", "needs data: whose reads agree again")
	}
}

func (Durable) Required() []string { return []string{"writes", "in"} }

// FailoverOthers are the values of Failover.OtherRegions.
var FailoverOthers = []string{"unaffected"}

func (c Failover) Check(report func(field, problem string)) {
	count(report, "primaries", c.Primaries)
	if c.Region != "" {
		c.checkRegion(report)
		return
	}
	if len(c.Routes) == 0 {
		report("routes", "is missing: name the routes that are served again, or the region of the callers")
	}
	if c.Within == 0 && c.Primaries == 0 {
		report("", "claims nothing: give within or primaries")
	}
	if c.Success > 0 {
		report("success", "goes with region, which is missing")
	}
	if c.OtherRegions != "" {
		report("other_regions", "goes with region, which is missing")
	}
}

func (c Failover) checkRegion(report func(field, problem string)) {
	if c.Within == 0 {
		report("within", "is missing: how soon callers from the region are served again")
	}
	if c.Primaries != 0 {
		report("primaries", "does not go with region: it is about nodes, in a claim of its own")
	}
	if c.OtherRegions != "" && !slices.Contains(FailoverOthers, c.OtherRegions) {
		report("other_regions", fmt.Sprintf("%q is unknown: they are %s", c.OtherRegions, strings.Join(FailoverOthers, " or ")))
	}
}

func count(report func(field, problem string), key string, n int) {
	if n < 0 {
		report(key, fmt.Sprintf("%d is negative", n))
	}
}

// ratio checks a factor by which something grows; 0 is absent.
func ratio(report func(field, problem string), key string, x float64) {
	if x != 0 && !(x >= 1) {
		report(key, fmt.Sprintf("%v is less than 1", x))
	}
}

func statuses(report func(field, problem string), key string, list []int) {
	for i, status := range list {
		key := fmt.Sprintf("%s[%d]", key, i)
		switch {
		case status < 100 || status > 599:
			report(key, fmt.Sprintf("%d is not an HTTP status: they are 100 to 599", status))
		case slices.Index(list, status) < i:
			report(key, fmt.Sprintf("%d is given twice", status))
		}
	}
}
