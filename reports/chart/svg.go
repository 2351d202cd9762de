package chart

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

//go:embed svg.tmpl
var svgSource string

// Template renders a Drawing. It escapes by context, whatever a chart's strings have.
var svgTemplate = template.Must(template.New("svg").Parse(svgSource))

// The inner viewport has whole numbers only: they are short, and fine enough for a
// column in a thousand.
const (
	wide     = 10000
	tallUnit = 10 // to a pixel
)

const (
	usualHeight = 140
	labelRow    = 14 // of the bands' labels, above the plot
	tickRow     = 18 // of the x axis, below it
	laneRow     = 30

	labelShare = 0.012 // of the width, that a character takes on a small screen
	nameShare  = 0.02  // of the width of a phone, that a character of a name takes
	tickShare  = 0.13  // and what is written at the ticks of y
	digitShare = 0.022 // and a character at the ticks of x
	leastShare = 0.013 // and the least stretch of a lane

	leastWide = 4 // pixels of a stretch, that it is seen however short it is
	nameRow   = 15

	screenShare = 0.0085 // of the width of a sheet of paper or a screen, that a character takes
	onPhone     = 46     // characters of a name that a phone has room for
	onScreen    = 105
)

// SVG draws the chart, after Fit. It fails only where a template does, which is a defect.
func (c *Chart) SVG() (template.HTML, error) {
	var out bytes.Buffer
	if err := svgTemplate.Execute(&out, c.draw()); err != nil {
		return "", fmt.Errorf("draw chart %s: %w", c.ID, err)
	}
	return template.HTML(out.String()), nil //nolint:gosec // the template has escaped it
}

// drawing is a chart in coordinates: across in percent of the width, down in pixels,
// and in the inner viewport in its own units.
type drawing struct {
	ID, Title, Desc        string
	Height, Top, Plot      int
	Wide, Tall             int
	Behind, Hatched, Rects []rect
	Paths                  []path
	Lines                  []line
	Texts                  []text
	names                  []areaName
	chart                  *Chart
}

type rect struct {
	X, W           string
	Pixels         int  // its width instead of W
	Ends           bool // at X, where it has its width in pixels; else it begins there
	Y, H           int
	Fill           string
	Class, Opacity string
	Title          string
}

type path struct {
	D, Fill, Class, Opacity string
	Stroke, Width, Dash     string
	Round                   bool
}

type line struct {
	X1, X2      string
	Y1, Y2      int
	Stroke      string
	Class, Dash string
}

type text struct {
	X           string
	Y, Dx       int
	Anchor      string
	Fill, Class string
	Halo        bool
	Weight      string
	Text        string
	Hidden      bool // unless the style sheet shows it
}

func (c *Chart) draw() *drawing {
	plot := c.plot()
	d := &drawing{ID: c.ID, Title: c.Title, Desc: c.Desc, Plot: plot, Wide: wide, Tall: plot * tallUnit, chart: c}
	for _, b := range c.Bands {
		if b.Label != "" {
			d.Top = labelRow
		}
	}
	d.Height = d.Top + plot + tickRow
	d.bands()
	d.axes()
	d.series()
	d.lanes()
	d.marks()
	return d
}

func percent(part float64) string { return strconv.FormatFloat(100*part, 'f', 2, 64) }

// across is a stretch of the x axis, at least as wide as can be seen; false if it is
// outside of it.
func (d *drawing) across(from, to float64) (x, w string, ok bool) {
	a := d.chart.X
	if to < a.Min || from > a.Max || math.IsNaN(from) || math.IsNaN(to) {
		return "", "", false
	}
	begin, end := a.at(from), a.at(to)
	return percent(begin), percent(max(end-begin, 0.0012)), true
}

// bands are behind everything, and their labels above it.
func (d *drawing) bands() {
	c := d.chart
	occupied := -1.0
	var edges pen
	tone := Gray
	for _, b := range c.Bands {
		tone = b.Tone
		x, w, ok := d.across(b.From, b.To)
		if !ok {
			continue
		}
		d.Behind = append(d.Behind, rect{X: x, W: w, Y: d.Top, H: d.Plot, Fill: Tones[b.Tone], Class: "f-" + string(b.Tone),
			Opacity: "0.13"})
		for _, at := range []float64{b.From, b.To} {
			if at >= c.X.Min && at <= c.X.Max {
				edges.move(d.px(at), 0)
				edges.down(d.Tall)
			}
		}
		begin := c.X.at(b.From)
		switch last := len(d.Texts) - 1; {
		case b.Label == "":
		case begin >= occupied:
			d.Texts = append(d.Texts, text{X: percent(begin), Y: d.Top - 3, Dx: 1, Fill: Tones[b.Tone], Class: "f-" + string(b.Tone),
				Weight: "600", Text: b.Label})
			occupied = begin + labelShare*float64(len(b.Label)+1)
		case len(d.Texts[last].Text) < 12: // there is no room but beside the one before it
			d.Texts[last].Text += " " + b.Label
			occupied += labelShare * float64(len(b.Label)+1)
		}
	}
	if edges.out != nil {
		d.Paths = append(d.Paths, path{D: edges.String(), Fill: "none", Stroke: Tones[tone], Class: "edge s-" + string(tone), Dash: "1 3",
			Width: "1"})
	}
	for _, s := range c.Unwell {
		if x, w, ok := d.across(s[0], s[1]); ok {
			d.Hatched = append(d.Hatched, rect{X: x, W: w, Y: d.Top, H: d.Plot})
		}
	}
}

// axes are the lines of the grid with what they stand for: of y within the plot,
// above its line, where a column of its own would take a third of a phone. Below the
// topmost line, where there is no room above it.
func (d *drawing) axes() {
	c := d.chart
	bottom := d.Top + d.Plot
	grid := func(x1, x2 float64, y1, y2 int, class string) {
		d.Lines = append(d.Lines, line{X1: percent(x1), X2: percent(x2), Y1: y1, Y2: y2, Stroke: "#c4ccd4", Class: class})
	}
	if len(c.Lanes) == 0 {
		for _, v := range c.Y.Ticks {
			at := c.Y.at(v)
			y := d.down(at)
			if at > 0 && !(v == c.Y.Max && !c.Y.Log) {
				grid(0, 1, y, y, "grid")
			}
			if v == 0 && at == 0 && !c.Y.Log { // as who looks expects
				continue
			}
			t := text{X: "0", Y: y - 2, Dx: 1, Fill: "#52606d", Class: "tick halo", Halo: true, Text: c.Y.text(v)}
			if y-d.Top < 11 {
				t.Y = y + 11
			}
			d.Texts = append(d.Texts, t)
		}
	}
	grid(0, 1, bottom, bottom, "axis")
	about := 6
	if c.X.Kind == Time { // whose labels are short
		about = 8
	}
	occupied := -1.0
	for _, v := range c.X.ticks(about) {
		at := c.X.at(v)
		t := text{X: percent(at), Y: bottom + 13, Fill: "#52606d", Class: "tick", Text: c.X.text(v), Anchor: "middle"}
		width := digitShare * (float64(utf8.RuneCountInString(t.Text)) + 0.6*float64(strings.Count(t.Text, "m"))) // which is wider
		begin := at - width/2
		switch {
		case begin < 0:
			t.Anchor, begin = "", at
		case begin+width > 1:
			t.Anchor, begin = "end", at-width
		}
		if begin < occupied { // a phone has no room for it
			t.Class = "tick wide"
		} else {
			occupied = begin + width + digitShare/2
		}
		d.Lines = append(d.Lines, line{X1: percent(at), X2: percent(at), Y1: bottom, Y2: bottom + 3, Stroke: "#7b8794", Class: "axis"})
		d.Texts = append(d.Texts, t)
	}
}

// down is where a part of the y axis is, in pixels.
func (d *drawing) down(part float64) int { return d.Top + int(math.Round((1-part)*float64(d.Plot))) }

func (d *drawing) series() {
	for _, s := range d.chart.Series {
		if s.Area {
			d.area(s)
			d.nameArea(s)
		}
	}
	for _, s := range d.chart.Series {
		p := path{Fill: "none", Stroke: Tones[s.Tone], Class: "s-" + string(s.Tone), Dash: s.Dash, Width: "1.6"}
		switch {
		case s.Dots:
			p.D, p.Width, p.Dash, p.Round = d.dots(s), "4", "", true
		case s.Line:
			p.D, p.Round = d.polyline(s), s.Dash == ""
		default:
			p.D = d.steps(s)
		}
		if s.Area {
			p.Width = "1"
		}
		if p.D != "" {
			d.Paths = append(d.Paths, p)
		}
	}
}

// areaName is where the name of an area stands: its middle and half its width, parts of
// the width of a phone, and its line.
type areaName struct {
	x, half float64
	y       int
}

// nameArea writes the name of an area where it is high, if there is room.
func (d *drawing) nameArea(s Series) {
	c := d.chart
	height := func(i int) float64 { return c.Y.at(s.Y[i]) - c.Y.at(lowAt(s, i)) }
	best := 0.0
	for i := range s.Y {
		if h := height(i); h > best {
			best = h
		}
	}
	if s.Name == "" || s.Range || best*float64(d.Plot) < nameRow {
		return
	}
	// The middle of the longest stretch that is nearly as high.
	at, last := 0, -1
	for i := 0; i < len(s.Y); i++ {
		from := i
		for i < len(s.Y) && height(i) > 0.9*best {
			i++
		}
		if i-from > last+1-at {
			at, last = from, i-1
		}
	}
	begin, end := c.X.at(c.begin(at)), c.X.at(c.end(last))
	length := float64(utf8.RuneCountInString(s.Name))
	half := nameShare * length / 2
	x := min(max((begin+end)/2, tickShare+half), 1-half)
	if end-begin < 0.01*(length+1) || x-half/2 < begin || x+half/2 > end { // on a phone, half of it is to be within
		return
	}
	mid := at + (last-at)/2
	y := d.down((c.Y.at(s.Y[mid])+c.Y.at(lowAt(s, mid)))/2) + 4
	for _, other := range d.names { // the legend names it too
		if math.Abs(x-other.x) < half+other.half && max(y, other.y)-min(y, other.y) < nameRow {
			return
		}
	}
	d.names = append(d.names, areaName{x, half, y})
	d.Texts = append(d.Texts, text{X: percent(x), Y: y, Anchor: "middle", Fill: "#1f2933", Class: "name halo", Halo: true, Text: s.Name})
}

func lowAt(s Series, i int) float64 {
	if i < len(s.Low) {
		return s.Low[i]
	}
	return 0
}

// marks are lines across with a name.
func (d *drawing) marks() {
	c := d.chart
	for _, m := range c.Marks {
		at := c.Y.at(m.At)
		l := line{X1: "0", X2: "100", Stroke: Tones[m.Tone], Class: "mark s-" + string(m.Tone), Dash: "6 3"}
		t := text{X: "99.6", Anchor: "end", Fill: Tones[m.Tone], Class: "halo f-" + string(m.Tone), Halo: true, Weight: "600",
			Text: m.Label}
		if m.X {
			at = c.X.at(m.At)
			l.X1, l.X2, l.Y1, l.Y2 = percent(at), percent(at), d.Top, d.Top+d.Plot
			t.X, t.Y, t.Dx, t.Anchor = percent(at), d.Top+11, 3, ""
			if at > 0.7 {
				t.Dx, t.Anchor = -3, "end"
			}
		} else {
			l.Y1 = d.down(at)
			l.Y2 = l.Y1
			if t.Y = l.Y1 - 3; t.Y < d.Top+10 {
				t.Y = l.Y1 + 12
			}
		}
		d.Lines, d.Texts = append(d.Lines, l), append(d.Texts, t)
	}
}

// laneName writes the name of a lane where it begins, or ends, as there is room. A long
// one is there twice, and the style sheet shows the one that a screen has room for.
func (d *drawing) laneName(lane Lane, y int) {
	add := func(most int, share float64, class string, hidden bool) {
		name := []rune(lane.Name)
		if len(name) > most {
			name = append(name[:most-1:most-1], '…')
		}
		t := text{X: "0", Y: y, Fill: "#1f2933", Class: "name halo" + class, Halo: true, Text: string(name), Hidden: hidden}
		if len(lane.Spans) > 0 && !d.chart.Stairs {
			width, at := share*float64(len(name)), d.chart.X.at
			switch begin, end := at(lane.Spans[0].From), at(lane.Spans[0].To); {
			case begin+width <= 1:
				t.X = percent(begin)
			case end-width >= 0:
				t.X, t.Anchor = percent(end), "end"
			}
		}
		d.Texts = append(d.Texts, t)
	}
	switch n := len([]rune(lane.Name)); {
	case n > onPhone:
		add(onScreen, screenShare, " wide", false)
		add(onPhone, nameShare, " narrow", true)
	case n > 0:
		add(onPhone, nameShare, "", false)
	}
}

// least is the part of a short stretch that is drawn on any screen: its beginning, or
// its end where the axis ends.
func (d *drawing) least(r rect, to float64) rect {
	r.Pixels = leastWide
	if end := d.chart.X.at(to); end > 1-leastShare {
		r.X, r.Ends = percent(end), true
	}
	return r
}

// lanes are rows of stretches: a name above, the stretches below it as high as their
// level says.
func (d *drawing) lanes() {
	c := d.chart
	const bar, above = 14, 15
	for row, lane := range c.Lanes {
		top := d.Top + row*laneRow
		if c.Stairs && row > 0 && len(lane.Spans) > 0 {
			begin := percent(c.X.at(lane.Spans[0].From))
			d.Lines = append(d.Lines, line{X1: begin, X2: begin, Y1: d.Top + above + bar, Y2: top + above + bar, Stroke: Tones[Gray],
				Class: "edge s-gray", Dash: "1 3"})
		}
		d.laneName(lane, top+12)
		for _, s := range lane.Spans {
			x, w, ok := d.across(s.From, s.To)
			if !ok {
				continue
			}
			h := max(2, int(math.Round(s.Level*bar)))
			r := rect{X: x, W: w, Y: top + above + bar - h, H: h, Fill: Tones[s.Tone], Class: "f-" + string(s.Tone),
				Opacity: "0.85", Title: strings.TrimSpace(s.Name + " " + c.X.text(s.From) + " to " + c.X.text(s.To))}
			d.Rects = append(d.Rects, r)
			width := c.X.at(s.To) - c.X.at(s.From)
			if width < leastShare {
				d.Rects = append(d.Rects, d.least(r, s.To))
			}
			if s.Name != "" && h >= 12 && width > 0.011*float64(len(s.Name)) {
				d.Texts = append(d.Texts, text{X: percent(c.X.at(s.From)), Dx: 3, Y: top + above + bar - 3, Fill: "#ffffff", Class: "onbar",
					Text: s.Name})
			}
		}
	}
}
