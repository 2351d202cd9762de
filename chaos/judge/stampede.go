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

// Stampede claims that a cache fetches a value that it has not, or not any more, from
// its origin few times: that callers who miss it together share one fetch.
//
// The values are the paths of the calls over the link, without their query. A period of one
// begins with a fetch of it, and lasts until the value that came of that is too old:
// ttl after the first answer below 400. Whatever else is fetched meanwhile is fetched
// once too often. The first period of each value is the cold start, which is no expiry,
// and has a bound of its own. The link stamps an answer before the cache has it, so that a period
// is never taken to be longer than the cache could know it.
type Stampede struct {
	Link Links `yaml:"link"` // The link to the origin, with calls.
	// What tells values apart: path, without the query; absent means path.
	Per string `yaml:"per"`
	// At most so many fetches of one value are in flight at once, the cold start apart; absent is not judged.
	AtOnce int `yaml:"at_once"`
	// At most so many fetches of one value in a period that began with its expiry; absent is not judged.
	PerExpiry int `yaml:"per_expiry"`
	// At most so many fetches of one value in its first period, when it was not there yet; absent is not judged.
	ColdStart int `yaml:"cold_start"`
	// How long the cache takes a value for fresh.
	TTL time.Duration `yaml:"ttl"`
}

const (
	leastExpiries = 3  // periods that began because a value had expired
	leastWaiting  = 10 // requests that came during the fetch of each
)

func (c Stampede) String() string {
	var parts []string
	if c.AtOnce > 0 {
		parts = append(parts, fmt.Sprintf("at most %d at once", c.AtOnce))
	}
	if c.PerExpiry > 0 {
		parts = append(parts, fmt.Sprintf("at most %d per expiry", c.PerExpiry))
	}
	if c.ColdStart > 0 {
		parts = append(parts, fmt.Sprintf("at most %d at the cold start", c.ColdStart))
	}
	return fmt.Sprintf("fetches of one %s over %s: %s", c.per(), c.Link, strings.Join(parts, ", "))
}

func (c Stampede) per() string { return cmp.Or(c.Per, "path") }

func (c Stampede) first() string {
	switch {
	case c.AtOnce > 0:
		return "at_once"
	case c.PerExpiry > 0:
		return "per_expiry"
	}
	return "cold_start"
}

// Judge implements Claim.
func (c Stampede) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "stampede")
	f.over(c.Link...)
	f.rests(0, horizon(run), 0)
	link := c.Link.in(run)
	if link == nil {
		f.open(c.first(), noLink, c.Link)
		return f.verdict()
	}
	values := c.valuesOf(run, link)
	if len(values) == 0 {
		f.open(c.first(), "nothing was fetched over %s"+noCalls, c.Link)
		return f.verdict()
	}
	tested, most := 0, 0
	for _, v := range values {
		tested += v.tested
		most = max(most, v.waiting)
	}
	f.numbers.Add("values", float64(len(values)))
	f.numbers.Add("expiries_tested", float64(tested))
	unvisited := ""
	if tested < leastExpiries {
		unvisited = fmt.Sprintf("only %s came while at least %d requests for the value did, and at least %d must (%d came during the "+
			"fetch with most, those of a route being spread over its %s): offer more, of fewer values, slow the origin down by latency, "+
			"or let the load last longer than %d times ttl", were(tested, "expiry", "expiries"), leastWaiting, leastExpiries, most,
			were(len(values), "value", "values"), leastExpiries+1)
	}
	c.judgeAtOnce(f, run, values, unvisited)
	c.judgePerExpiry(f, values, unvisited)
	c.judgeColdStart(f, values)
	f.show(func() Exhibit { return c.level(run, link, values) })
	return f.verdict()
}

// cached is one value, and what was fetched of it.
type cached struct {
	name    string
	fetches []evidence.Exchange // by Begin
	periods [][]evidence.Exchange
	tested  int // periods behind the first that began with many requests under way
	waiting int // the most requests for it that came during a first fetch
}

// most is the period with most fetches, of those that began with an expiry; nil if
// none did.
func (v cached) most() (most []evidence.Exchange) {
	for _, p := range v.periods[1:] {
		if len(p) > len(most) {
			most = p
		}
	}
	return most
}

// expired are the fetches behind the cold start.
func (v cached) expired() []evidence.Exchange { return v.fetches[len(v.periods[0]):] }

// valuesOf are the values that were fetched before the horizon, by name.
func (c Stampede) valuesOf(run *evidence.Run, link *evidence.Link) []*cached {
	byName := map[string]*cached{}
	end := horizon(run)
	for i := range link.Exchanges {
		x := &link.Exchanges[i]
		if x.Begin >= end {
			break
		}
		if byName[x.Path] == nil {
			byName[x.Path] = &cached{name: x.Path}
		}
		byName[x.Path].fetches = append(byName[x.Path].fetches, *x)
	}
	values := slices.SortedFunc(maps.Values(byName), func(a, b *cached) int { return strings.Compare(a.name, b.name) })
	askers := askersOf(run, values)
	for _, v := range values {
		c.divide(v, askers)
	}
	return values
}

// askers tells how many requests asked for a value. Which value a request asks for is not
// known, but of one that made a fetch: so those of a route are taken to be spread evenly over
// the values that it fetched.
type askers struct {
	requests map[string][]arrivals // by value: of each route that fetched it
	among    map[string][]int      // how many values that route fetched
}

func askersOf(run *evidence.Run, values []*cached) askers {
	fetched := map[int]map[string]bool{} // by route
	anybodys := map[string]bool{}        // fetched by no request that is known
	for _, v := range values {
		for i := range v.fetches {
			s, known := run.Sample(v.fetches[i].ID)
			if !known {
				anybodys[v.name] = true
				continue
			}
			if fetched[s.Route] == nil {
				fetched[s.Route] = map[string]bool{}
			}
			fetched[s.Route][v.name] = true
		}
	}
	a := askers{requests: map[string][]arrivals{}, among: map[string][]int{}}
	add := func(of map[string]bool, requests arrivals) {
		for name := range of {
			a.requests[name] = append(a.requests[name], requests)
			a.among[name] = append(a.among[name], len(of))
		}
	}
	for route, of := range fetched {
		add(of, every(run.Samples).where(func(s *load.Sample) bool { return s.Route == route }))
	}
	for name := range a.requests {
		delete(anybodys, name)
	}
	add(anybodys, every(run.Samples))
	return a
}

// came is how many requests for a value were due in [from, to).
func (a askers) came(name string, from, to time.Duration) (n int) {
	for i, requests := range a.requests[name] {
		n += due(requests, from, to).len() / a.among[name][i]
	}
	return n
}

// divide finds the periods of a value, and how many requests came during the first
// fetch of each.
func (c Stampede) divide(v *cached, asked askers) {
	for i := 0; i < len(v.fetches); {
		filled := time.Duration(math.MaxInt64)
		n := i
		for ; n < len(v.fetches) && (filled == math.MaxInt64 || v.fetches[n].Begin < filled+c.TTL); n++ {
			if x := &v.fetches[n]; x.Status > 0 && x.Status < 400 && replied(x) {
				filled = min(filled, x.End)
			}
		}
		one := v.fetches[i]
		came := asked.came(v.name, one.Begin, one.End)
		v.waiting = max(v.waiting, came)
		if i > 0 && came >= leastWaiting {
			v.tested++
		}
		v.periods = append(v.periods, v.fetches[i:n])
		i = n
	}
}

// shown rules on a measure, which must have been put to the test to have held.
func (c Stampede) shown(f *finding, m measure, unvisited string) {
	if unvisited != "" && m.part().Ruling == Held && !m.note {
		f.open(m.name, "%s", unvisited)
		return
	}
	f.rule(m)
}

func (c Stampede) judgeAtOnce(f *finding, run *evidence.Run, values []*cached, unvisited string) {
	noise := run.Noise(0, horizon(run))
	low, high, at, of := 0, 0, time.Duration(0), values[0]
	for _, v := range values {
		low = max(low, profileOf(v.expired(), late(noise).of).top())
		if n, when := profileOf(v.expired(), asSeen.of).most(math.MinInt64, math.MaxInt64); n > high {
			high, at, of = n, when, v
		}
	}
	f.numbers.Add("at_once_max", float64(high))
	m := measure{name: "at_once", seen: interval(low, high), allowed: atMost(c.AtOnce), ids: during(of.expired(), at),
		says: fmt.Sprintf("%s of %s at once at most", were(high, "fetch", "fetches"), of.name), hidden: noiseText(noise), settle: quieter}
	if c.AtOnce == 0 {
		m.note, m.allowed, m.ids = true, Bound{math.Inf(-1), math.Inf(1)}, nil
	}
	c.shown(f, m, unvisited)
}

func (c Stampede) judgePerExpiry(f *finding, values []*cached, unvisited string) {
	var sizes []int
	worst := values[0]
	for _, v := range values {
		if len(v.most()) > len(worst.most()) {
			worst = v
		}
		for _, p := range v.periods[1:] {
			sizes = append(sizes, len(p))
		}
	}
	if len(sizes) == 0 {
		if c.PerExpiry > 0 {
			f.open("per_expiry", "%s", unvisited)
		}
		return
	}
	slices.Sort(sizes)
	median, most := sizes[len(sizes)/2], worst.most()
	f.numbers.Add("fetches_per_expiry_median", float64(median))
	f.numbers.Add("fetches_per_expiry_max", float64(len(most)))
	m := measure{name: "per_expiry", seen: exactly(len(most)), allowed: atMost(c.PerExpiry), sample: len(sizes),
		says: fmt.Sprintf("%s of %s in the period that began at %s, the most of %s; half of them had %d or fewer",
			were(len(most), "fetch", "fetches"), worst.name, short(most[0].Begin), were(len(sizes), "period", "periods"), median)}
	for _, x := range most {
		m.ids = append(m.ids, x.ID)
	}
	if c.PerExpiry == 0 {
		m.note, m.allowed, m.ids = true, Bound{math.Inf(-1), math.Inf(1)}, nil
	}
	c.shown(f, m, unvisited)
}

func (c Stampede) judgeColdStart(f *finding, values []*cached) {
	worst := slices.MaxFunc(values, func(a, b *cached) int { return cmp.Compare(len(a.periods[0]), len(b.periods[0])) })
	cold := worst.periods[0]
	f.numbers.Add("fetches_cold_max", float64(len(cold)))
	m := measure{name: "cold_start", seen: exactly(len(cold)), allowed: atMost(c.ColdStart), sample: len(values),
		says: fmt.Sprintf("%s of %s when it was not there yet", were(len(cold), "fetch", "fetches"), worst.name)}
	for _, x := range cold {
		m.ids = append(m.ids, x.ID)
	}
	if c.ColdStart == 0 {
		m.note, m.allowed, m.ids = true, Bound{math.Inf(-1), math.Inf(1)}, nil
	}
	f.rule(m)
}

// level is how many fetches of the value with most in a period were in flight.
func (c Stampede) level(run *evidence.Run, link *evidence.Link, values []*cached) Exhibit {
	worst := slices.MaxFunc(values, func(a, b *cached) int { return cmp.Compare(len(a.most()), len(b.most())) })
	one := &evidence.Link{Name: link.Name + " " + worst.name, From: link.From, To: link.To, Exchanges: worst.fetches}
	e := levelOf(run, one, c.AtOnce)
	e.Title, e.Part = strings.Replace(e.Title, "in flight on", "fetches in flight on", 1), c.first()
	e.Level.Link = link.Name
	return e
}
