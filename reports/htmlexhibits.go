package reports

import (
	"fmt"
	"math"
	"strings"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/reports/chart"
)

func at(s evidence.Seconds) float64 { return s.Duration().Seconds() }

// exhibit draws one exhibit into an article. One whose field is not set is passed
// over: it says nothing.
func (p *htmlPage) exhibit(a *article, id string, e judge.Exhibit, r *result.Result, bands []chart.Band) error {
	var charts []*chart.Chart
	group := exhibitGroup{Title: shown(e.Title, 300)}
	live := true
	switch {
	case e.States != nil:
		charts = statesCharts(id, e, r, bands)
	case e.Waits != nil:
		charts, group.Columns = waitsCharts(id, e), true
	case e.Level != nil:
		charts = levelCharts(id, e, bands)
	case e.Attempts != nil:
		charts = attemptsCharts(id, e)
	case e.Staircase != nil:
		charts, live = staircaseCharts(id, e), false // where there is nothing to zoom into
	case e.Growth != nil:
		charts = growthCharts(id, e)
	case e.Register != nil:
		charts, live = registerCharts(id, e), false
	}
	for _, c := range charts {
		f, err := p.figure(c, live)
		if err != nil {
			return err
		}
		group.Figures = append(group.Figures, f)
	}
	if len(group.Figures) > 0 {
		a.Exhibits = append(a.Exhibits, group)
	}
	return nil
}

// statesCharts show a breaker as a signal: low is closed, high open.
func statesCharts(id string, e judge.Exhibit, r *result.Result, bands []chart.Band) []*chart.Chart {
	c := &chart.Chart{ID: id, Title: "Breaker at link " + nameOf(e.States.Link) + ": closed low, half-open between, open high",
		Desc: "States of the breaker over time: low is closed, half high half-open, high open.",
		X:    chart.Axis{Kind: chart.Time, Max: r.Seconds}, Bands: bands, Sync: "t"}
	if s := r.Series; s != nil && s.Whole != nil {
		c.X.Min, c.X.Max = at(s.Whole.From), at(s.Whole.To)
	}
	name := ""
	if e.States.More > 0 {
		name = fmt.Sprintf("the first %d of %d stretches", len(e.States.Spans), len(e.States.Spans)+e.States.More)
	}
	c.Lanes = []chart.Lane{stateLane(name, e.States)}
	return []*chart.Chart{c}
}

// waitsCharts show the waits before each retry on one axis, so that they can be
// compared with each other and with the declared law.
func waitsCharts(id string, e judge.Exhibit) (all []*chart.Chart) {
	most := 0.0
	for _, w := range e.Waits.Retries {
		for _, b := range w.Bins {
			most = max(most, b.To)
		}
		if w.Allowed != nil && !math.IsInf(w.Allowed.High, 0) {
			most = max(most, w.Allowed.High)
		}
	}
	for i, w := range e.Waits.Retries {
		title := fmt.Sprintf("Wait before retry %d: median %s of %s", w.Retry, Millis(w.Median), number(uint64(w.Sample), "wait"))
		if w.Longer > 0 {
			title += fmt.Sprintf(", %s longer than is drawn", Count(uint64(w.Longer)))
		}
		c := &chart.Chart{ID: fmt.Sprintf("%s-%d", id, i), Title: title,
			Desc: "How often callers waited so long, beside what the declared law allows.",
			X:    chart.Axis{Kind: chart.Millis, Label: "wait from", Max: most * 1.05}, Y: chart.Axis{Kind: chart.Count}, Height: 90}
		s := chart.Series{Name: "waits", Tone: chart.Blue, Area: true}
		for k, b := range w.Bins {
			if k > 0 && b.From > w.Bins[k-1].To+1e-9 { // nothing between them
				c.At, s.Y = append(c.At, w.Bins[k-1].To), append(s.Y, 0)
			}
			c.At, s.Y = append(c.At, b.From), append(s.Y, float64(b.Count))
		}
		if n := len(w.Bins); n > 0 {
			c.At, s.Y = append(c.At, w.Bins[n-1].To), append(s.Y, 0)
		}
		c.Series = []chart.Series{s}
		c.Marks = []chart.Mark{{At: w.Median, Label: "median", Tone: chart.Blue, X: true}}
		if w.Allowed != nil {
			c.Bands = []chart.Band{allowedBand(*w.Allowed, c.X)}
		}
		all = append(all, c)
	}
	return all
}

// allowedBand is what a claim allows on an axis.
func allowedBand(b judge.Bound, axis chart.Axis) chart.Band {
	return chart.Band{From: max(b.Low, axis.Min), To: min(b.High, axis.Max), Label: "claimed", Title: "claimed", Tone: chart.Green}
}

// levelCharts show what was in flight against the limit.
func levelCharts(id string, e judge.Exhibit, bands []chart.Band) []*chart.Chart {
	l := e.Level
	c := &chart.Chart{ID: id, Title: "In flight at link " + nameOf(l.Link),
		Desc: "The most exchanges in flight at the link in each step, beside the limit that is claimed.",
		X:    chart.Axis{Kind: chart.Time, Min: at(l.From), Max: at(l.From) + at(l.Step)*float64(len(l.Most))},
		Y:    chart.Axis{Kind: chart.Count},
		From: at(l.From), Step: at(l.Step), N: len(l.Most), Bands: bands, Height: 150}
	s := chart.Series{Name: "most in " + Millis(1000*at(l.Step)), Tone: chart.Teal, Area: true}
	for _, n := range l.Most {
		s.Y = append(s.Y, float64(n))
	}
	c.Series = []chart.Series{s}
	if l.Limit > 0 {
		c.Marks = []chart.Mark{{At: float64(l.Limit), Label: fmt.Sprintf("limit %d", l.Limit), Tone: chart.Red}}
	}
	return []*chart.Chart{c}
}

// attemptsCharts show how many requests made how many attempts.
func attemptsCharts(id string, e judge.Exhibit) []*chart.Chart {
	t := e.Attempts
	n := len(t.Requests)
	title := "Requests by their attempts at link " + nameOf(t.Link)
	if t.More > 0 {
		title += fmt.Sprintf(", %s with more than is drawn", Count(uint64(t.More)))
	}
	c := &chart.Chart{ID: id, Title: title, Desc: fmt.Sprintf("How many requests made how many attempts; %s each on average.",
		number4(t.PerCall)),
		X: chart.Axis{Kind: chart.Count, Label: "attempts", Min: 0.5, Max: float64(n) + 0.5}, Y: chart.Axis{Kind: chart.Count,
			Label: "requests"}, Height: 110}
	if t.Allowed != nil && !math.IsInf(t.Allowed.High, 0) {
		c.X.Max = max(c.X.Max, t.Allowed.High+0.5)
	}
	s := chart.Series{Name: "requests", Tone: chart.Blue, Area: true}
	const half = 0.4 // of a bar's width
	for i, k := range t.Requests {
		c.At = append(c.At, float64(i+1)-half, float64(i+1)+half)
		s.Y = append(s.Y, float64(k), 0)
	}
	c.Series = []chart.Series{s}
	if t.Allowed != nil {
		b := *t.Allowed
		b.Low, b.High = b.Low-0.5, b.High+0.5
		c.Bands = []chart.Band{allowedBand(b, c.X)}
	}
	return []*chart.Chart{c}
}

// staircaseCharts are single requests: in front what the caller waited for, behind it
// step by step the exchanges that it caused, joined by its id.
func staircaseCharts(id string, e judge.Exhibit) (all []*chart.Chart) {
	for i, climb := range e.Staircase.Requests {
		due, last := at(climb.Due), at(climb.Done)
		for _, s := range climb.Steps {
			last = max(last, at(s.End))
		}
		ms := func(s evidence.Seconds) float64 { return 1000 * (at(s) - due) }
		outcome := climb.Outcome
		if climb.Status != 0 {
			outcome = fmt.Sprintf("%d %s", climb.Status, outcome)
		}
		title := fmt.Sprintf("Request %d, due at %s: %s after %s", climb.ID, Seconds(due), shown(outcome, 60), Millis(ms(climb.Done)))
		c := &chart.Chart{ID: fmt.Sprintf("%s-%d", id, i), Title: title, Stairs: true,
			Desc: "In front the request, from when it was due; below it the exchanges behind that bear its id, in their order.",
			X:    chart.Axis{Kind: chart.Millis, Max: max(1000*(last-due)*1.02, 0.001)}}
		front := chart.Lane{Name: "front: " + nameOf(climb.Route) + " → " + shown(outcome, 60)}
		if climb.Sent > climb.Due {
			front.Spans = append(front.Spans, chart.Stretch{From: 0, To: ms(climb.Sent), Tone: chart.Gray, Level: 0.3,
				Name: "until it was sent"})
		}
		front.Spans = append(front.Spans, chart.Stretch{From: max(0, ms(climb.Sent)), To: ms(climb.Done), Tone: chart.Blue, Level: 0.6})
		c.Lanes = append(c.Lanes, front)
		var before *judge.Step
		for k := range climb.Steps {
			c.Lanes = append(c.Lanes, stepLane(climb.Steps[k], before, ms))
			before = &climb.Steps[k]
		}
		if climb.More > 0 {
			c.Lanes = append(c.Lanes, chart.Lane{Name: fmt.Sprintf("and %d more exchanges", climb.More)})
		}
		all = append(all, c)
	}
	return all
}

// stepLane is one exchange, with how long after the one before it it came.
func stepLane(s judge.Step, before *judge.Step, ms func(evidence.Seconds) float64) chart.Lane {
	look := chart.Stretch{From: ms(s.Begin), To: ms(s.End), Tone: chart.Green, Level: 0.6}
	what := shown(s.Ending, 40)
	if s.Status != 0 {
		what = fmt.Sprintf("%d %s", s.Status, what)
	}
	if s.Status == 0 || s.Status >= 500 {
		look.Tone = chart.Red
	} else if s.Status >= 400 {
		look.Tone = chart.Orange
	}
	name := strings.TrimSpace(nameOf(s.Link) + ": " + shown(s.Method, 20))
	if before != nil && s.Begin >= before.End {
		name = "+" + Millis(ms(s.Begin)-ms(before.End)) + "  " + name
	}
	name += " → " + what
	if len(s.Faults) > 0 {
		name += " (" + shown(strings.Join(s.Faults, ", "), 80) + ")"
	}
	return chart.Lane{Name: name, Spans: []chart.Stretch{look}}
}

// growthCharts show a figure with a line to compare it with, and what is claimed of it.
func growthCharts(id string, e judge.Exhibit) []*chart.Chart {
	g := e.Growth
	c := &chart.Chart{ID: id, Title: nameOf(g.Of), Desc: nameOf(g.Of) + " over time, beside a line to compare it with.",
		X: chart.Axis{Kind: chart.Time}, Y: chart.Axis{Kind: unitKind(g.Unit), Label: nameOf(g.Unit)}, Height: 170}
	points := chart.Series{Name: "each stretch", Tone: chart.Blue, Dots: true}
	line := chart.Series{Name: "over all", Tone: chart.Purple, Dash: "6 3", Line: true}
	if g.Slope != 0 {
		line.Name = "line through them"
	}
	if g.Against != "" {
		line.Name = nameOf(g.Against)
	}
	for _, pt := range g.Points {
		x := at(pt.At)
		c.At, points.Y, line.Y = append(c.At, x), append(points.Y, pt.Y), append(line.Y, g.At0+g.Slope*x)
		c.X.Max = max(c.X.Max, x)
	}
	c.Series = []chart.Series{points, line}
	if b := g.Allowed; b != nil {
		inf := math.Inf(1)
		if b.Low > -inf {
			c.Marks = append(c.Marks, chart.Mark{At: b.Low, Label: "claimed " + spanText(g.Unit, b.Low, inf), Tone: chart.Red})
		}
		if b.High < inf {
			c.Marks = append(c.Marks, chart.Mark{At: b.High, Label: "claimed " + spanText(g.Unit, -inf, b.High), Tone: chart.Red})
		}
	}
	return []*chart.Chart{c}
}

func unitKind(unit string) chart.Kind {
	switch unit {
	case "ms":
		return chart.Millis
	case "pct":
		return chart.Percent
	case "/s":
		return chart.Rate
	}
	return chart.Plain
}
