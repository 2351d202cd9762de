package console

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/reports/chart"
)

const (
	mostColumns = 480 // more are joined two by two
	shownLinks  = 4
	leastWidth  = 60 // seconds that a chart has at first
)

// columns are the seconds of the run so far, in equal columns, at most mostColumns.
// Counts are summed; of times it is the worst second of a column that is kept, as
// percentiles cannot be added up.
type columns struct {
	step int // seconds that a column has; 0 is 1
	all  []column
}

type column struct {
	seconds        int
	offered, ok    uint64
	failed, unsent uint64
	p50, p99       time.Duration // of the worst second
	lag            time.Duration // p99, likewise
	links          map[string]linkColumn
	hasTime        bool
}

type linkColumn struct {
	ended, errors uint64
	inFlight      int // the most
}

// add takes the second that ends at a time.
func (c *columns) add(at time.Duration, t *evidence.Tick) {
	c.step = max(1, c.step)
	second := max(0, int(math.Round(at.Seconds()))-1) // a tick comes a little after its second
	for second/c.step >= mostColumns {
		c.halve()
	}
	i := second / c.step
	for len(c.all) <= i {
		c.all = append(c.all, column{})
	}
	col := &c.all[i]
	col.seconds++
	col.offered += t.Offered
	for _, outcomes := range t.Routes {
		for outcome, n := range outcomes {
			switch load.Outcome(outcome) {
			case load.OK:
				col.ok += n
			case load.Unsent:
				col.unsent += n
			default:
				col.failed += n
			}
		}
	}
	col.hasTime = col.hasTime || t.Ended > 0
	col.p50, col.p99 = max(col.p50, t.P50.Duration()), max(col.p99, t.P99.Duration())
	col.lag = max(col.lag, t.LagP99.Duration())
	for name, l := range t.Links {
		if col.links == nil {
			col.links = map[string]linkColumn{}
		}
		sum := col.links[name]
		col.links[name] = linkColumn{sum.ended + l.Ended, sum.errors + l.Errors, max(sum.inFlight, l.InFlight)}
	}
}

// halve joins the columns two by two.
func (c *columns) halve() {
	c.step *= 2
	for i := 0; i < len(c.all); i += 2 {
		joined := c.all[i]
		if i+1 < len(c.all) {
			joined = joined.with(c.all[i+1])
		}
		c.all[i/2] = joined
	}
	c.all = c.all[:(len(c.all)+1)/2]
}

func (a column) with(b column) column {
	sum := column{a.seconds + b.seconds, a.offered + b.offered, a.ok + b.ok, a.failed + b.failed, a.unsent + b.unsent,
		max(a.p50, b.p50), max(a.p99, b.p99), max(a.lag, b.lag), map[string]linkColumn{}, a.hasTime || b.hasTime}
	for _, links := range []map[string]linkColumn{a.links, b.links} {
		for name, l := range links {
			s := sum.links[name]
			sum.links[name] = linkColumn{s.ended + l.ended, s.errors + l.errors, max(s.inFlight, l.inFlight)}
		}
	}
	return sum
}

// clone is a copy that the run does not change any more.
func (c *columns) clone() columns {
	all := slices.Clone(c.all)
	for i := range all { // the map of the last column is still written to
		links := make(map[string]linkColumn, len(all[i].links))
		for name, l := range all[i].links {
			links[name] = l
		}
		all[i].links = links
	}
	return columns{max(1, c.step), all}
}

// last is the last column; its zero value is there if there is none.
func (c *columns) last() column {
	if len(c.all) == 0 {
		return column{}
	}
	return c.all[len(c.all)-1]
}

// charts is the stack over the run so far: the rate by outcome, times, and each link.
func (c *columns) charts(faults []fault, now time.Duration, links []string) []*chart.Chart {
	bands := bandsOf(faults, now)
	slots := int(math.Ceil(max(leastWidth, now.Seconds(), float64(len(c.all)*c.step)) / float64(c.step))) // those to come are empty
	blank := func(id, title, desc string, kind chart.Kind, height int) *chart.Chart {
		return &chart.Chart{ID: id, Title: title, Desc: desc, Height: height, Bands: bands, Step: float64(c.step), N: slots, Sync: "run",
			X: chart.Axis{Kind: chart.Time, Max: float64(slots * c.step)}, Y: chart.Axis{Kind: kind, Log: kind == chart.Millis}}
	}
	rate := func(count func(column) uint64) chart.Values {
		return c.values(slots, func(col column) float64 { return float64(count(col)) / float64(max(1, col.seconds)) })
	}
	requests := blank("requests", "Requests", "How many requests ended well and not, and how many were offered, per second.",
		chart.Rate, 170)
	ok := rate(func(col column) uint64 { return col.ok })
	bad := rate(func(col column) uint64 { return col.ok + col.failed })
	requests.Series = []chart.Series{
		{Name: "ok", Tone: chart.Green, Y: ok, Area: true},
		{Name: "not ok", Tone: chart.Red, Dash: "4 2", Y: bad, Low: ok, Area: true},
		{Name: "offered", Tone: chart.Ink, Dash: "5 3", Y: rate(func(col column) uint64 { return col.offered })},
	}
	times := blank("times", "Response time, worst second of a column", "The response time of what ended, on an axis of powers of ten.",
		chart.Millis, 120)
	took := func(of func(column) time.Duration) chart.Values {
		return c.values(slots, func(col column) float64 {
			if !col.hasTime {
				return math.NaN()
			}
			return float64(of(col)) / float64(time.Millisecond)
		})
	}
	times.Series = []chart.Series{
		{Name: "p99", Tone: chart.Purple, Dash: "7 2", Y: took(func(col column) time.Duration { return col.p99 })},
		{Name: "p50", Tone: chart.Blue, Y: took(func(col column) time.Duration { return col.p50 })},
	}
	all := []*chart.Chart{requests, times}
	for i, name := range links[:min(len(links), shownLinks)] {
		calls := blank("link"+strconv.Itoa(i), "Calls over "+name,
			"Calls that ended at the link, and those of them that failed, per second.", chart.Rate, 100)
		good := rate(func(col column) uint64 { return col.links[name].ended - col.links[name].errors })
		ended := rate(func(col column) uint64 { return col.links[name].ended })
		calls.Series = []chart.Series{
			{Name: "without error", Tone: chart.Blue, Y: good, Area: true},
			{Name: "errors", Tone: chart.Red, Dash: "4 2", Y: ended, Low: good, Area: true},
		}
		flight := blank("flight"+strconv.Itoa(i), "In flight over "+name, "The most calls that were in flight at the end of a second.",
			chart.Count, 60)
		flight.Series = []chart.Series{{Name: "in flight", Tone: chart.Teal,
			Y: c.values(slots, func(col column) float64 { return float64(col.links[name].inFlight) })}}
		all = append(all, calls, flight)
	}
	return all
}

// values are a figure of each of so many columns; none where nothing is known.
func (c *columns) values(slots int, of func(column) float64) chart.Values {
	all := make(chart.Values, slots)
	for i := range all {
		if all[i] = math.NaN(); i < len(c.all) && c.all[i].seconds > 0 {
			all[i] = of(c.all[i])
		}
	}
	return all
}

// shownBands is how many faults are drawn: the last ones.
const shownBands = 40

// bandsOf are the faults as they were, in letters.
func bandsOf(faults []fault, now time.Duration) (bands []chart.Band) {
	for i, f := range faults {
		if f.Injected < 0 {
			continue
		}
		until := f.Healed
		if until < 0 {
			until = max(now, f.Injected)
		}
		bands = append(bands, chart.Band{From: f.Injected.Seconds(), To: until.Seconds(), Label: letter(i), Title: f.Name,
			Tone: chart.Orange})
	}
	return bands[max(0, len(bands)-shownBands):]
}

// letter names the i-th fault: A to Z, then AA.
func letter(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return letter(i/26-1) + letter(i%26)
}
