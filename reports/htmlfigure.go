package reports

import (
	"html/template"

	"github.com/stormctl/stormctl/reports/chart"
)

// figure is a chart in the page, with its legend and its figures.
type figure struct {
	ID, Title string
	SVG       template.HTML
	Legend    []legend
	Table     *chart.Table
}

// chartGroup are charts under one heading.
type chartGroup struct {
	Heading string
	Figures []figure
}

// legend is how one series is told from the others.
type legend struct {
	Name, Fill, Dash string
	Tone             chart.Tone
	Area, Dots       bool
}

// figure draws a chart, and hands it to the page's script unless it is to stay as it
// is drawn.
func (p *htmlPage) figure(c *chart.Chart, live bool) (figure, error) {
	c.Fit()
	svg, err := c.SVG()
	if err != nil {
		return figure{}, err
	}
	f := figure{ID: c.ID, Title: c.Title, SVG: svg}
	for _, s := range c.Series {
		f.Legend = append(f.Legend, legend{Name: s.Name, Fill: chart.Tones[s.Tone], Dash: s.Dash, Tone: s.Tone, Area: s.Area, Dots: s.Dots})
	}
	if t := c.Table(); len(t.Rows) > 0 {
		f.Table = &t
	}
	if live {
		p.live = append(p.live, c)
	}
	return f, nil
}

// group draws charts under a heading.
func (p *htmlPage) group(heading string, charts ...*chart.Chart) (chartGroup, error) {
	g := chartGroup{Heading: heading}
	for _, c := range charts {
		f, err := p.figure(c, true)
		if err != nil {
			return g, err
		}
		g.Figures = append(g.Figures, f)
	}
	return g, nil
}
