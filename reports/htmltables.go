package reports

import (
	"cmp"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/series"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/reports/chart"
)

// grid is a table of a page.
type grid struct {
	Heading string
	Heads   []gridHead
	Rows    [][]gridCell
	Others  string // what it leaves out
}

type gridHead struct {
	Text  string
	Right bool
}

type gridCell struct {
	Text  string
	Right bool
	SVG   template.HTML // instead
}

// heads names columns; one that begins with > is of figures, and stands on the right.
func heads(names ...string) (all []gridHead) {
	for _, n := range names {
		text, right := strings.CutPrefix(n, ">")
		all = append(all, gridHead{text, right})
	}
	return all
}

// row adds cells under the heads.
func (g *grid) row(cells ...string) {
	var row []gridCell
	for i, text := range cells {
		row = append(row, gridCell{Text: text, Right: g.Heads[i].Right})
	}
	g.Rows = append(g.Rows, row)
}

func (p *htmlPage) tables(r *result.Result, d detail) error {
	routes, err := routesGrid(r.Routes, r.Series, r.Seconds, d)
	if err != nil {
		return err
	}
	regions, err := routesGrid(r.Regions, nil, r.Seconds, d)
	if err != nil {
		return err
	}
	regions.Heading, regions.Heads[0].Text = "Regions: what callers from each got, of all routes", "region"
	p.Tables = append(p.Tables, routes, regions, linksGrid(r.Links, d), matrixGrid(r, d), faultsGrid(r.Faults), targetsGrid(r.Series))
	p.Tables = slices.DeleteFunc(p.Tables, func(g grid) bool { return len(g.Rows) == 0 })
	return nil
}

// worthShowing are the routes that matter most, in their own order: those with the
// most requests.
func worthShowing(routes []result.Route, most int) []result.Route {
	if len(routes) <= most {
		return routes
	}
	order := make([]int, len(routes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(routes[b].Requests, routes[a].Requests) })
	order = order[:most]
	slices.Sort(order)
	all := make([]result.Route, most)
	for i, at := range order {
		all[i] = routes[at]
	}
	return all
}

func routesGrid(routes []result.Route, view *series.View, seconds float64, d detail) (grid, error) {
	g := grid{Heading: "Routes: what callers got", Heads: heads("route", ">requests", ">rate", ">success", ">response p50", ">p99", ">max",
		">service p99",
		"other than ok", "p99 over time", "not ok over time")}
	lines := map[string]series.Route{}
	if view != nil && view.Whole != nil {
		for _, r := range view.Whole.Routes {
			lines[r.Name] = r
		}
	}
	for _, r := range worthShowing(routes, d.routes) {
		others := maps.Clone(r.Outcomes)
		delete(others, load.OK.String())
		g.row(nameOf(routeTitle(r)), Count(r.Requests), PerSecond(float64(r.Requests)/max(seconds, 1e-9)), Percent(r.Success),
			Millis(r.Response.P50),
			Millis(r.Response.P99), Millis(r.Response.Max), Millis(r.Service.P99), shown(counts(others), 300))
		line, ok := lines[r.Name]
		row := &g.Rows[len(g.Rows)-1]
		if !ok {
			*row = append(*row, gridCell{Text: unknown}, gridCell{Text: unknown})
			continue
		}
		bad := make(chart.Values, len(line.Bad))
		for i, n := range line.Bad {
			bad[i] = float64(n)
		}
		for _, s := range []struct {
			title string
			tone  chart.Tone
			y     chart.Values
		}{{"p99 over time", chart.Purple, known(line.Response.P99)}, {"not ok over time", chart.Red, bad}} {
			svg, err := chart.Spark(s.title, s.tone, s.y)
			if err != nil {
				return g, err
			}
			*row = append(*row, gridCell{SVG: svg})
		}
	}
	g.Others = otherText(len(routes)-len(g.Rows), "route", " with fewer requests in "+result.File)
	return g, nil
}

func linksGrid(links []result.Link, d detail) grid {
	g := grid{Heading: "Links: what reached the dependencies", Heads: heads("link", "from → to", ">exchanges", ">most in flight", ">p50",
		">p99", ">max", "statuses", "endings")}
	most := d.routes
	for i, l := range links {
		if i == most {
			g.Others = otherText(len(links)-most, "link", " in "+result.File)
			break
		}
		g.row(nameOf(l.Name), nameOf(l.From)+" → "+nameOf(l.To), Count(l.Exchanges), strconv.Itoa(l.InFlight), Millis(l.Duration.P50),
			Millis(l.Duration.P99), Millis(l.Duration.Max), shown(counts(l.Statuses), 300), shown(counts(l.Endings), 300))
	}
	return g
}

// mostFaults bounds the rows of faults.
const mostFaults = 200

func faultsGrid(faults []result.Fault) grid {
	g := grid{Heading: "Faults: what was injected", Heads: heads("", "fault", "kind", "on", ">injected", ">healed", ">hit", "")}
	drawn := 0
	for i, f := range faults {
		if i == mostFaults {
			g.Others = otherText(len(faults)-i, "fault", " in "+result.File)
			break
		}
		mark := ""
		if f.Injected >= 0 {
			if drawn < mostBands {
				mark = letter(drawn)
			}
			drawn++
		}
		g.row(mark, nameOf(f.Name), nameOf(f.Kind), nameOf(f.On), moment(f.Injected), moment(f.Healed), Count(f.Hit),
			shown(faultNote(f), 500))
	}
	return g
}
