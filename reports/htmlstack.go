package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/series"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/reports/chart"
)

// mostBands bounds the faults that are drawn: more could not be told apart.
const mostBands = 40

// stack makes the charts over one time axis.
type stack struct {
	prefix string // of the charts' ids
	sync   string // the axis that they share
	s      *series.Series
	bands  []chart.Band
	x      chart.Axis
}

// newStack is a stack over the columns of s.
func newStack(prefix string, s *series.Series, bands []chart.Band) *stack {
	st := &stack{prefix: prefix, sync: prefix, s: s, bands: bands}
	st.x = chart.Axis{Kind: chart.Time, Min: s.From.Duration().Seconds(), Max: s.To.Duration().Seconds()}
	return st
}

// chart is an empty one over the columns.
func (st *stack) chart(name, title, desc string, y chart.Axis, height int) *chart.Chart {
	return &chart.Chart{
		ID: st.prefix + "-" + name, Title: title, Desc: desc, X: st.x, Y: y, Height: height, Sync: st.sync,
		From: st.x.Min, Step: float64(st.s.Step), N: len(st.s.Offered), Bands: st.bands, Unwell: st.unwell(),
	}
}

// perSecond are counts of columns as rates. The last column may be shorter.
func (st *stack) perSecond(counts []uint64) chart.Values {
	all := make(chart.Values, len(counts))
	for i, n := range counts {
		begin := st.x.Min + float64(i*st.s.Step)
		length := min(float64(st.s.Step), st.x.Max-begin)
		if length <= 0 {
			length = float64(st.s.Step)
		}
		all[i] = float64(n) / length
	}
	return all
}

// unwell are the stretches in which the harness was not well.
func (st *stack) unwell() (all []chart.Span) {
	for i, bad := range st.s.Harness.Unwell {
		from := st.x.Min + float64(i*st.s.Step)
		to := min(from+float64(st.s.Step), st.x.Max)
		switch {
		case !bad:
		case len(all) > 0 && all[len(all)-1][1] >= from-1e-9:
			all[len(all)-1][1] = to
		default:
			all = append(all, chart.Span{from, to})
		}
	}
	return all
}

// outcomeLooks are how outcomes other than ok are told apart.
var outcomeLooks = map[load.Outcome]struct {
	tone chart.Tone
	dash string
}{
	load.ClientError: {chart.Orange, "4 2"}, load.ServerError: {chart.Red, ""}, load.TimedOut: {chart.Purple, "6 2"},
	load.Refused: {chart.Pink, "2 2"}, load.Reset: {chart.Teal, "8 3"}, load.Malformed: {chart.Gray, "1 2"},
	load.Wrong: {chart.Orange, "1 2"}, load.TooLarge: {chart.Gray, "4 4"},
}

// rate is what was offered and what came of it, one outcome upon the other.
func (st *stack) rate() *chart.Chart {
	c := st.chart("rate", "Rate by outcome",
		"The rate that was offered as a line, and how requests ended as areas upon each other: ok at the bottom.",
		chart.Axis{Kind: chart.Rate}, 190)
	below := make(chart.Values, len(st.s.Offered))
	add := func(outcome load.Outcome, tone chart.Tone, dash string) {
		counts, seen := st.s.Outcomes[outcome.String()]
		if !seen && outcome != load.OK {
			return
		}
		rates := st.perSecond(counts)
		top := make(chart.Values, len(below))
		for i := range top {
			top[i] = below[i]
			if i < len(rates) {
				top[i] += rates[i]
			}
		}
		c.Series = append(c.Series, chart.Series{Name: outcome.String(), Tone: tone, Dash: dash, Y: top, Low: below, Area: true})
		below = top
	}
	add(load.OK, chart.Green, "")
	for o := load.ClientError; int(o) < load.Outcomes; o++ {
		if look, ok := outcomeLooks[o]; ok {
			add(o, look.tone, look.dash)
		}
	}
	c.Series = append(c.Series, chart.Series{Name: "offered", Tone: chart.Ink, Dash: "5 3", Y: st.perSecond(st.s.Offered)})
	if slices.ContainsFunc(st.s.Unsent, func(n uint64) bool { return n > 0 }) {
		c.Series = append(c.Series, chart.Series{Name: "never sent", Tone: chart.Pink, Dash: "2 2", Y: st.perSecond(st.s.Unsent)})
	}
	return c
}

// times are percentiles on an axis of powers of ten.
func (st *stack) times(name, title, desc string, p series.Percentiles, height int) *chart.Chart {
	c := st.chart(name, title, desc, chart.Axis{Kind: chart.Millis, Log: true}, height)
	for _, line := range []struct {
		name string
		y    []*float64
		tone chart.Tone
		dash string
	}{{"max", p.Max, chart.Gray, "2 2"}, {"p99.9", p.P999, chart.Orange, "4 2"}, {"p99", p.P99, chart.Purple, "7 2"}, {"p50", p.P50,
		chart.Blue, ""}} {
		if len(line.y) > 0 {
			c.Series = append(c.Series, chart.Series{Name: line.name, Tone: line.tone, Dash: line.dash, Y: known(line.y)})
		}
	}
	return c
}

// known has NaN where there is no figure.
func known(list []*float64) chart.Values {
	all := make(chart.Values, len(list))
	for i, v := range list {
		if all[i] = math.NaN(); v != nil {
			all[i] = *v
		}
	}
	return all
}

// link is what one link saw, as far as it saw any: exchanges, in flight, how long they
// took, and the states of a breaker upon it.
func (st *stack) link(i int, l series.Link, limit int, states *judge.States) []*chart.Chart {
	name := nameOf(l.Name)
	id := "link" + strconv.Itoa(i)
	calls := st.chart(id+"-calls", name+": exchanges",
		"Exchanges that ended at the link, and those of them without a response or with status 500 or more.",
		chart.Axis{Kind: chart.Rate}, 110)
	good := make(chart.Values, len(l.Ended))
	ended, errs := st.perSecond(l.Ended), st.perSecond(l.Errors)
	for k := range good {
		if good[k] = ended[k]; k < len(errs) {
			good[k] -= errs[k]
		}
	}
	calls.Series = []chart.Series{
		{Name: "without error", Tone: chart.Blue, Y: good, Area: true},
		{Name: "errors", Tone: chart.Red, Dash: "4 2", Y: ended, Low: good, Area: true},
	}
	flight := st.chart(id+"-flight", name+": in flight", "The least and the most exchanges in flight in each column.",
		chart.Axis{Kind: chart.Count}, 90)
	flight.Series = []chart.Series{{Name: "in flight, least to most", Tone: chart.Teal, Y: l.InFlight.Most, Low: l.InFlight.Least,
		Area: true, Range: true}}
	if limit > 0 {
		flight.Marks = []chart.Mark{{At: float64(limit), Label: "limit " + strconv.Itoa(limit), Tone: chart.Red}}
	}
	var charts []*chart.Chart // of what there was
	if slices.ContainsFunc(l.Ended, func(n uint64) bool { return n > 0 }) {
		charts = append(charts, calls)
	}
	if slices.ContainsFunc(l.InFlight.Most, func(n float64) bool { return n > 0 }) {
		charts = append(charts, flight)
	}
	if states != nil {
		lanes := st.chart(id+"-states", name+": breaker, closed low, half-open between, open high",
			"The states of the breaker, as its link shows them: low is closed, half high half-open, high open.", chart.Axis{}, 0)
		lanes.Lanes = []chart.Lane{stateLane("", states)}
		charts = slices.Insert(charts, 0, lanes)
	}
	// Connections that all end with the run leave a dot: the table of links has it.
	if took := known(l.Took.P50); countKnown(took) > 1 {
		charts = append(charts,
			st.times(id+"-took", name+": how long exchanges took", "Percentiles of the exchanges of each column.", l.Took, 110))
	}
	return charts
}

// countKnown is how many figures there are.
func countKnown(values chart.Values) (n int) {
	for _, v := range values {
		if !math.IsNaN(v) {
			n++
		}
	}
	return n
}

// stateLane draws a state as high as it is open: so it is told without colour.
func stateLane(name string, s *judge.States) chart.Lane {
	lane := chart.Lane{Name: name}
	for _, span := range s.Spans {
		look := chart.Stretch{Tone: chart.Gray, Level: 0.15}
		switch span.State {
		case "open":
			look = chart.Stretch{Tone: chart.Red, Level: 1}
		case "half-open":
			look = chart.Stretch{Tone: chart.Orange, Level: 0.55}
		}
		look.From, look.To, look.Name = span.From.Duration().Seconds(), span.To.Duration().Seconds(), nameOf(span.State)
		lane.Spans = append(lane.Spans, look)
	}
	return lane
}

// harness is the harness measuring itself, in a strip.
func (st *stack) harness() []*chart.Chart {
	h := st.s.Harness
	lag := st.chart("lag", "Harness: lag and hiccups",
		"The harness's own part: how late it sent, and for how long its host kept it from running.",
		chart.Axis{Kind: chart.Millis, Log: true}, 70)
	lag.Series = []chart.Series{
		{Name: "longest hiccup of the host", Tone: chart.Gray, Dash: "2 2", Y: h.Hiccup},
		{Name: "send lag max", Tone: chart.Orange, Dash: "5 2", Y: h.LagMax},
		{Name: "send lag p99", Tone: chart.Blue, Y: h.LagP99},
	}
	charts := []*chart.Chart{lag}
	pressure := make(chart.Values, len(h.Pressure))
	measured := false
	for i, v := range h.Pressure {
		if pressure[i] = v; v < 0 {
			pressure[i] = math.NaN()
		} else {
			measured = true
		}
	}
	if measured {
		c := st.chart("pressure", "Harness: CPU pressure", "The part of a second in which some thread of the host waited for a core.",
			chart.Axis{Kind: chart.Share}, 50)
		c.Series = []chart.Series{{Name: "waited for a core", Tone: chart.Purple, Y: pressure}}
		charts = append(charts, c)
	}
	return charts
}

// faultBands are the faults as they were, in letters, and the lanes that name them.
func faultBands(faults []result.Fault, end float64) (bands []chart.Band, lanes []chart.Lane, others int) {
	for _, f := range faults {
		if f.Injected < 0 {
			continue
		}
		if len(bands) == mostBands {
			others++
			continue
		}
		b := chart.Band{From: f.Injected, To: f.Healed, Label: letter(len(bands)), Title: nameOf(f.Name), Tone: chart.Orange}
		if b.To < b.From {
			b.To = max(end, b.From)
		}
		bands = append(bands, b)
		name := b.Label + "  " + b.Title
		if f.Hit == 0 {
			name += " (hit nothing)"
		}
		lanes = append(lanes, chart.Lane{Name: name, Spans: []chart.Stretch{{From: b.From, To: b.To, Tone: chart.Orange, Level: 0.6}}})
	}
	return bands, lanes, others
}

// letter names the i-th fault: A to Z, then AA.
func letter(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return letter(i/26-1) + letter(i%26)
}

// otherText says how many of something are not shown.
func otherText(n int, noun, where string) string {
	if n <= 0 {
		return ""
	}
	if n > 1 {
		noun += "s"
	}
	return fmt.Sprintf("And %s more %s%s.", Count(uint64(n)), noun, where)
}
