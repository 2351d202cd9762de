package judge

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// Fanout claims that a request makes few calls, and few of them one after another: a
// chatty service makes a call for each item of a page (N+1), and waits for each.
//
// It is about requests that ended well before the first fault, so that no retry is
// among their calls. Calls are told by the request id, and counts of them are exact; a
// call without one may be of any request, so that no count has an upper end then.
//
// A chain is calls of which each began after the one before had ended. Calls that are
// made side by side may come one after another by chance, but not in every request: as
// many follow one another as did in each request at least, and at most as many as did
// in half of them.
type Fanout struct {
	Link  Links  `yaml:"link"`  // The links whose calls count; absent means all.
	Route string `yaml:"route"` // The route that causes them.
	// At most so many calls for one request; absent is not judged.
	Calls int `yaml:"calls"`
	// At most so many calls of one request one after another; absent is not judged.
	Depth int `yaml:"depth"`
	// At most so many calls of one request with the same method, link and path; absent is not judged.
	Repeats int `yaml:"repeats"`
	// At most so many calls more for each item more, of the routes in of: 0.1 is hardly any, 1 is N+1. Absent is not judged.
	Growth float64 `yaml:"growth"`
	// Routes and how many items each asks for, for growth: those with the fewest and with the most are compared. Absent means none.
	Of map[string]int `yaml:"of"`
}

// leastPages is how many requests it takes to speak of all.
const leastPages = 100

const tooFewPages = "only %s of %q ended well before the first fault, and at least %d are needed: " +
	"let the first fault come later, or offer more"

func (c Fanout) String() string {
	var parts []string
	add := func(claimed bool, format string, args ...any) {
		if claimed {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(c.Calls > 0, "at most %s", were(c.Calls, "call", "calls"))
	add(c.Depth > 0, "at most %d one after another", c.Depth)
	add(c.Repeats > 0, "each at most %s", often(c.Repeats))
	add(c.Growth > 0, "at most %g more for each item more", c.Growth)
	return fmt.Sprintf("fanout of %s over %s: %s", c.Route, cmp.Or(c.Link.String(), "all links"), strings.Join(parts, ", "))
}

// Judge implements Claim.
func (c Fanout) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "fanout")
	links := c.over(run)
	f.over(links...)
	pages := c.pagesOf(run, links, c.Route)
	f.rests(0, min(firstInjection(run), horizon(run)), 0)
	part := cmp.Or(c.first(), "calls")
	switch {
	case len(pages.of) < leastPages:
		f.open(part, tooFewPages, were(len(pages.of), "request", "requests"), c.Route, leastPages)
		return f.verdict()
	case pages.calls == 0 && pages.anonymous > 0:
		f.open(part, "no call carries the id of a request: let the system pass on X-Request-Id or traceparent")
		return f.verdict()
	}
	c.judgeCalls(f, pages)
	c.judgeDepth(f, pages)
	c.judgeRepeats(f, pages)
	if c.Growth > 0 {
		c.judgeGrowth(f, run, links)
	}
	if one := pages.typical(); one.calls > 0 {
		f.typical("", fmt.Sprintf("a request that made %s, %d of them one after another", were(one.calls, "call", "calls"), one.depth),
			one.id)
	}
	return f.verdict()
}

// over are the links whose calls count, in order.
func (c Fanout) over(run *evidence.Run) []string {
	if len(c.Link) > 0 {
		return c.Link
	}
	return slices.Sorted(maps.Keys(run.Links))
}

// first is the first key that bounds anything.
func (c Fanout) first() string {
	switch {
	case c.Calls > 0:
		return "calls"
	case c.Depth > 0:
		return "depth"
	case c.Repeats > 0:
		return "repeats"
	case c.Growth > 0:
		return "growth"
	}
	return ""
}

// page is what one request called.
type page struct {
	id      uint64
	calls   int
	depth   int // of its longest chain
	repeats int // of the call that it made most often
}

// pages is what the requests of a route called.
type pages struct {
	of        []page
	calls     int // of all of them
	anonymous int // calls of the same time that carry no id
}

// pagesOf looks at the requests that ended well before the first fault.
func (c Fanout) pagesOf(run *evidence.Run, links []string, route string) (p pages) {
	all, _ := samplesOf(run, route)
	until := min(firstInjection(run), horizon(run))
	for _, s := range endedBy(due(all, 0, until), until).all() {
		if s.Outcome != load.OK {
			continue
		}
		one := page{id: s.ID}
		var chain []evidence.Exchange
		same := map[string]int{}
		for _, name := range links {
			link := run.Links[name]
			if link == nil {
				continue
			}
			for _, at := range link.CausedBy(s.ID) {
				x := link.Exchanges[at]
				chain = append(chain, x)
				call := name + " " + x.Method + " " + x.Path
				same[call]++
				one.repeats = max(one.repeats, same[call])
			}
		}
		one.calls, one.depth = len(chain), chained(chain)
		p.calls += one.calls
		p.of = append(p.of, one)
	}
	for _, name := range links {
		if link := run.Links[name]; link != nil {
			for _, x := range link.Window(0, until) {
				if x.ID == 0 {
					p.anonymous++
				}
			}
		}
	}
	return p
}

// chained is the length of the longest chain of calls: taking each time the one that
// ends first of those that begin after the last has ended.
func chained(calls []evidence.Exchange) (n int) {
	slices.SortStableFunc(calls, func(a, b evidence.Exchange) int { return cmp.Compare(a.End, b.End) })
	last := time.Duration(math.MinInt64)
	for _, x := range calls {
		if x.Begin > last {
			n, last = n+1, x.End
		}
	}
	return n
}

// most is the largest figure of the pages, with the requests that have it.
func (p pages) most(of func(page) int, bound int) (seen Interval, ids []uint64) {
	largest := 0
	for _, one := range p.of {
		largest = max(largest, of(one))
		if bound > 0 && of(one) > bound {
			ids = append(ids, one.id)
		}
	}
	seen = exactly(largest)
	if p.anonymous > 0 {
		seen.High = math.Inf(1)
	}
	return seen, ids
}

// usual is the median.
func (p pages) usual(of func(page) int) int {
	all := make([]int, len(p.of))
	for i, one := range p.of {
		all[i] = of(one)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// typical is a page with as many calls as most have and, if there is one, a chain as
// long.
func (p pages) typical() page {
	calls := p.usual(func(one page) int { return one.calls })
	depth := p.usual(func(one page) int { return one.depth })
	best := page{}
	for _, one := range p.of {
		switch {
		case one.calls == calls && one.depth == depth:
			return one
		case one.calls == calls && best.id == 0:
			best = one
		}
	}
	return best
}

// nameless is what hides how many calls a request made.
func (p pages) nameless() (hidden, settle string) {
	if p.anonymous == 0 {
		return "", ""
	}
	return were(p.anonymous, "call", "calls") + " without a request's id", "let every call carry X-Request-Id or traceparent"
}

func (c Fanout) judgeCalls(f *finding, p pages) {
	calls := func(one page) int { return one.calls }
	seen, ids := p.most(calls, c.Calls)
	f.numbers.Add("requests", float64(len(p.of)))
	f.numbers.Add("calls_median", float64(p.usual(calls)))
	f.numbers.Add("calls_max", seen.Low)
	m := measure{name: "calls", seen: seen, allowed: atMost(c.Calls), sample: len(p.of), ids: ids,
		says:    fmt.Sprintf("a request made %s, the one with most %d", were(p.usual(calls), "call", "calls"), int(seen.Low)),
		refutes: fmt.Sprintf("%d of %d requests made more, the one with most %d calls", len(ids), len(p.of), int(seen.Low))}
	m.hidden, m.settle = p.nameless()
	if c.Calls == 0 {
		m.note, m.allowed = true, Bound{math.Inf(-1), math.Inf(1)}
	}
	f.rule(m)
}

func (c Fanout) judgeDepth(f *finding, p pages) {
	depth := func(one page) int { return one.depth }
	least := p.of[0].depth
	for _, one := range p.of {
		least = min(least, one.depth)
	}
	usual := p.usual(depth)
	f.numbers.Add("depth", float64(usual))
	m := measure{name: "depth", seen: interval(least, usual), allowed: atMost(c.Depth), sample: len(p.of),
		ids: beyond(p.of, c.Depth, depth), says: fmt.Sprintf("%s followed one another", were(usual, "call", "calls")),
		settle: "slow the links down (latency) in a run of its own, so that calls side by side are seen to be"}
	if p.anonymous > 0 {
		m.seen.High = math.Inf(1)
		m.hidden, m.settle = p.nameless()
	}
	if c.Depth == 0 {
		m.note, m.allowed = true, Bound{math.Inf(-1), math.Inf(1)}
	}
	f.rule(m)
}

func (c Fanout) judgeRepeats(f *finding, p pages) {
	repeats := func(one page) int { return one.repeats }
	seen, ids := p.most(repeats, c.Repeats)
	f.numbers.Add("repeats_max", seen.Low)
	m := measure{name: "repeats", seen: seen, allowed: atMost(c.Repeats), sample: len(p.of), ids: ids,
		says: fmt.Sprintf("the same call was made %s for one request at most", often(int(seen.Low)))}
	m.hidden, m.settle = p.nameless()
	if c.Repeats == 0 {
		if seen.Low < 2 {
			return
		}
		m.note, m.allowed = true, Bound{math.Inf(-1), math.Inf(1)}
	}
	f.rule(m)
}

// beyond are the requests beyond a bound.
func beyond(of []page, bound int, figure func(page) int) (ids []uint64) {
	for _, one := range of {
		if bound > 0 && figure(one) > bound {
			ids = append(ids, one.id)
		}
	}
	return ids
}

// judgeGrowth compares the routes with the fewest items and with the most: the ends
// of what a request of each made give the ends of the slope.
func (c Fanout) judgeGrowth(f *finding, run *evidence.Run, links []string) {
	routes := slices.SortedFunc(maps.Keys(c.Of), func(a, b string) int { return cmp.Or(c.Of[a]-c.Of[b], strings.Compare(a, b)) })
	small, large := routes[0], routes[len(routes)-1]
	var ends [2]Interval
	sample := math.MaxInt
	for i, route := range []string{small, large} {
		p := c.pagesOf(run, links, route)
		if len(p.of) < leastPages {
			f.open("growth", tooFewPages, were(len(p.of), "request", "requests"), route, leastPages)
			return
		}
		least := p.of[0].calls
		for _, one := range p.of {
			least = min(least, one.calls)
		}
		most, _ := p.most(func(one page) int { return one.calls }, 0)
		ends[i], sample = Interval{float64(least), most.High}, min(sample, len(p.of))
	}
	more := float64(c.Of[large] - c.Of[small])
	seen := Interval{(ends[1].Low - ends[0].High) / more, (ends[1].High - ends[0].Low) / more}
	f.numbers.Add("growth", (seen.Low+seen.High)/2)
	f.rule(measure{name: "growth", seen: seen, unit: times, allowed: atMost(c.Growth), sample: sample,
		says:   fmt.Sprintf("calls grow by %.3g for each item more, from %d items to %d", (seen.Low+seen.High)/2, c.Of[small], c.Of[large]),
		settle: "routes whose requests make the same number of calls each time, or a larger difference between them"})
}
