package chart

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var none = math.NaN()

// three is a chart of three columns of two seconds, the last of which is cut short.
func three() *Chart {
	c := &Chart{ID: "c", Title: "t", Desc: "d", X: Axis{Kind: Time, Max: 5}, Y: Axis{Kind: Rate, Max: 10}, Step: 2, N: 3, Height: 100}
	c.Series = []Series{{Name: "a", Tone: Blue, Y: Values{10, 10, 5}}}
	return c
}

// Columns are as wide as they are, and neighbours of one height are one line. The
// inner viewport is 10,000 wide, and 10 to a pixel high.
func TestSteps(t *testing.T) {
	for _, c := range []struct {
		name string
		y    Values
		want string
	}{
		{"to the axis' end", Values{10, 10, 5}, "M0 0h8000v500h2000"},
		{"a gap", Values{10, none, 0}, "M0 0h4000M8000 1000h2000"},
		{"nothing", Values{none, none, none}, ""},
		{"beyond the axis", Values{20, -5, 10}, "M0 0h4000v1000h4000v-1000h2000"},
		{"fewer than columns", Values{10}, "M0 0h4000"},
	} {
		ch := three()
		ch.Series[0].Y = c.y
		d := ch.draw()
		got := ""
		if len(d.Paths) > 0 {
			got = d.Paths[0].D
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// An area goes there along its upper edge and back along its lower.
func TestArea(t *testing.T) {
	c := three()
	c.Series = []Series{{Name: "a", Tone: Blue, Area: true, Y: Values{10, 10, 5}, Low: Values{5, 0, 0}}}
	if got, want := c.draw().Paths[0].D, "M0 500v-500h8000v500h2000v500h-6000v-500h-4000z"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPointsAndLines(t *testing.T) {
	c := three()
	c.Step, c.N, c.At = 0, 0, Values{0, 2.5, 5}
	c.Series = []Series{{Tone: Blue, Dots: true, Y: Values{0, none, 10}}, {Tone: Red, Line: true, Y: Values{0, none, 10}}}
	d := c.draw()
	if got, want := d.Paths[0].D, "M0 1000h0M10000 0h0"; got != want {
		t.Errorf("dots %q, want %q", got, want)
	}
	if got, want := d.Paths[1].D, "M0 1000l10000-1000"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
}

// Bands are where they are, in percent; one that is not on the axis is not drawn.
func TestBands(t *testing.T) {
	c := three()
	c.Bands = []Band{{From: 1, To: 2, Label: "A", Tone: Orange}, {From: 1.01, To: 9, Label: "B", Tone: Orange}, {From: 7, To: 9, Label: "C",
		Tone: Orange}}
	c.Unwell = []Span{{0, 1}}
	d := c.draw()
	if len(d.Behind) != 2 || d.Behind[0].X != "20.00" || d.Behind[0].W != "20.00" || d.Behind[1].W != "79.80" {
		t.Errorf("%+v", d.Behind)
	}
	if d.Texts[0].Text != "A B" {
		t.Errorf("labels without room of their own are %q", d.Texts[0].Text)
	}
	if len(d.Hatched) != 1 || d.Hatched[0].W != "20.00" {
		t.Errorf("%+v", d.Hatched)
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		axis Axis
		want string
	}{
		{Axis{Kind: Time, Max: 15}, "0s 2s 4s 6s 8s 10s 12s 14s"},
		{Axis{Kind: Time, Max: 2}, "0s 0.5s 1s 1.5s 2s"},
		{Axis{Kind: Time, Max: 600}, "0:00 2:00 4:00 6:00 8:00 10:00"},
		{Axis{Kind: Time, Max: 86400}, "0:00:00 3:00:00 6:00:00 9:00:00 12:00:00 15:00:00 18:00:00 21:00:00 24:00:00"},
		{Axis{Kind: Time, Min: 30, Max: 150}, "0:30 0:45 1:00 1:15 1:30 1:45 2:00 2:15 2:30"},
		{Axis{Kind: Millis, Log: true, Min: 0.1, Max: 2000}, "0.1ms 1ms 10ms 100ms 1s"},
		{Axis{Kind: Millis, Log: true, Min: 1, Max: 10}, "1ms 2ms 5ms 10ms"},
		{Axis{Kind: Rate, Max: 2500}, "0/s 500/s 1k/s 1.5k/s 2k/s 2.5k/s"},
		{Axis{Kind: Count, Max: 3}, "0 1 2 3"},
		{Axis{Kind: Share, Max: 0.5}, "0% 10% 20% 30% 40% 50%"},
		{Axis{Kind: Quantile, Max: 3.5}, "0 90% 99% 99.9%"},
	} {
		var got []string
		for _, v := range c.axis.ticks(8) {
			got = append(got, c.axis.text(v))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.axis, diff)
		}
	}
}

// No two ticks of a y axis read the same, however near they are, and there are two.
func TestTicksAreToldApart(t *testing.T) {
	for _, c := range []struct {
		axis  Axis
		about int
		want  string
	}{
		{Axis{Kind: Percent, Min: 99.89, Max: 100.01}, 4, "99.9% 99.95% 100%"},
		{Axis{Kind: Plain, Min: 80.005, Max: 80.041}, 4, "80.01 80.02 80.03 80.04"},
		{Axis{Kind: Millis, Min: 2000.5, Max: 2003.2}, 4, "2.001s 2.002s 2.003s"},
		{Axis{Kind: Rate, Min: 1000.05, Max: 1000.42}, 4, "1.0001k/s 1.0002k/s 1.0003k/s 1.0004k/s"},
		{Axis{Kind: Percent, Max: 110}, 4, "0% 50% 100%"},
		{Axis{Kind: Plain, Max: 45}, 2, "0 20 40"}, // steps of 50 would leave 0 alone
	} {
		c.axis.Ticks = c.axis.ticks(c.about)
		c.axis.tellApart()
		var got []string
		for _, v := range c.axis.Ticks {
			got = append(got, c.axis.text(v))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// Every tick of the y axis but 0 is written within the drawing, the topmost too.
func TestTicksAreWritten(t *testing.T) {
	for want, c := range map[string]*Chart{
		"1s 10s":             {Y: Axis{Kind: Millis, Log: true}, Series: []Series{{Y: Values{1015, 9000}}}, Height: 60},
		"1":                  {Y: Axis{Kind: Count}, Series: []Series{{Y: Values{1, 1}}}, Height: 90},
		"99.96% 99.98% 100%": {Y: Axis{Kind: Percent}, Series: []Series{{Y: Values{99.96, 100}, Dots: true}}, Height: 60},
		"6 7 8 9 10":         {Y: Axis{Kind: Plain}, Series: []Series{{Y: Values{8, 8}, Dots: true}}, Height: 170},
		"100/s":              {Y: Axis{Kind: Rate}, Series: []Series{{Y: Values{100, 20}}}, Height: 90},
	} {
		c.ID, c.X, c.Step, c.N = "a", Axis{Kind: Time, Max: 2}, 1, 2
		c.Fit()
		var got []string
		for _, text := range c.draw().Texts {
			if text.Class != "tick halo" {
				continue
			}
			if got = append(got, text.Text); text.Y < 9 || text.Y > c.Height {
				t.Errorf("%s is written at %d of %d", text.Text, text.Y, c.Height)
			}
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// An area is named where it is high for longest.
func TestAreaIsNamedWhereThereIsRoom(t *testing.T) {
	c := &Chart{ID: "a", X: Axis{Kind: Time, Max: 10}, Y: Axis{Kind: Rate}, Step: 1, N: 10,
		Series: []Series{{Name: "ok", Area: true}}}
	named := func(name string, y Values) (at string) {
		c.Series[0].Name, c.Series[0].Y, c.Y = name, y, Axis{Kind: Rate}
		c.Fit()
		for _, text := range c.draw().Texts {
			if text.Text == name {
				at = text.X
			}
		}
		return at
	}
	for _, row := range []struct {
		name string
		y    Values
		want string
	}{
		{"ok", Values{100, 10, 10, 95, 95, 95, 95, 10, none, 100}, "50.00"}, // the middle of 3 s to 7 s
		{"ok", Values{100, 95, 10, 10, 10, 10, 10, 10, 10, 10}, "15.00"},    // 10.00 would be upon the ticks of a phone
		{"ok", Values{100, 10, 10, 10, 10, 10, 10, 10, 10, 10}, ""},         // which take the whole second
		{"ok", Values{10, 10, 10, 10, 10, 10, 10, 10, 10, 100}, "95.00"},
		{"without error", Values{100, 100, 100, 10, 10, 10, 10, 10, 10, 10}, ""}, // on a phone from 13% to 39%, of which 9% are beyond 3 s
		{"without error", Values{100, 100, 100, 100, 10, 10, 10, 10, 10, 10}, "26.00"},
	} {
		if got := named(row.name, row.y); got != row.want {
			t.Errorf("%s %v: named at %q%%, want %q", row.name, row.y, got, row.want)
		}
	}
}

// The y axis has all that is drawn, from 0 or a power of ten on.
func TestFit(t *testing.T) {
	c := three()
	c.Y = Axis{Kind: Millis, Log: true}
	c.Series[0].Y = Values{0, 3, 700}
	c.Fit()
	if c.Y.Min != 1 || c.Y.Max != 1000 {
		t.Errorf("log from %v to %v", c.Y.Min, c.Y.Max)
	}
	c.Y, c.Series[0].Y, c.Marks = Axis{}, Values{10, 20, none}, []Mark{{At: 50}}
	c.Fit()
	if c.Y.Min != 0 || c.Y.Max < 50 || c.Y.Max > 60 {
		t.Errorf("with a mark from %v to %v", c.Y.Min, c.Y.Max)
	}
	c.Y, c.Series[0].Y, c.Marks = Axis{}, Values{none, none, none}, nil
	c.Fit()
	if !(c.Y.Max > c.Y.Min) {
		t.Errorf("of nothing from %v to %v", c.Y.Min, c.Y.Max)
	}
}

// A drawing is XML whatever its strings are, and has no style that a server would
// turn off.
func TestSVGIsXML(t *testing.T) {
	c := three()
	for _, name := range []string{"plain", `<script>"&'`, "]]>", "\u202eשלום"} {
		c.Title, c.Desc, c.Series[0].Name, c.Series[0].Area = name, name, name, true
		c.Bands = []Band{{From: 1, To: 2, Label: name, Title: name, Tone: Orange}}
		c.Marks, c.Unwell = []Mark{{At: 5, Label: name, Tone: Red}}, []Span{{0, 1}}
		lanes := &Chart{ID: "l", Title: name, X: c.X, Stairs: true, Lanes: []Lane{{Name: name, Spans: []Stretch{{From: 1, To: 4, Name: name,
			Tone: Red, Level: 1}}}, {Name: name}}}
		for _, chart := range []*Chart{c, lanes} {
			svg, err := chart.SVG()
			if err != nil {
				t.Fatal(err)
			}
			read := xml.NewDecoder(strings.NewReader(string(svg)))
			for {
				token, err := read.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%v in %s", err, svg)
				}
				if e, ok := token.(xml.StartElement); ok {
					for _, a := range e.Attr {
						if a.Name.Local == "style" || e.Name.Local == "script" {
							t.Errorf("<%s %s=%q>", e.Name.Local, a.Name.Local, a.Value)
						}
					}
				}
			}
		}
	}
}

// JSON keeps four digits, and has null where there is nothing.
func TestValues(t *testing.T) {
	text, err := json.Marshal(Values{0, 1234567, 0.123456, none, math.Inf(1), 1e-7})
	if err != nil {
		t.Fatal(err)
	}
	if want := "[0,1234567,0.1235,null,null,0.0000001]"; string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	var back Values
	if err := json.Unmarshal(text, &back); err != nil || back[2] != 0.1235 || !math.IsNaN(back[3]) {
		t.Errorf("%v, %v", back, err)
	}
}

// A table of many columns has the largest figure of each row's, and says so.
func TestTable(t *testing.T) {
	c := &Chart{Title: "t", X: Axis{Kind: Time, Max: 1200}, Y: Axis{Kind: Count, Max: 9}, Step: 1, N: 1200}
	s := Series{Name: "a", Y: make(Values, 1200)}
	s.Y[777] = 5
	c.Series = []Series{s}
	got := c.Table()
	if len(got.Rows) != MaxRows || !strings.Contains(got.Caption, "20 columns") {
		t.Errorf("%d rows, %s", len(got.Rows), got.Caption)
	}
	if row := got.Rows[777/20]; row[0] != "12:40" || row[1] != "5" {
		t.Errorf("%q", row)
	}
	// Of what is stacked, its own part.
	c = three()
	c.Series = []Series{{Name: "a", Area: true, Y: Values{3, 4, none}, Low: Values{1, 1, 1}}}
	if rows := c.Table().Rows; rows[0][1] != "2/s" || rows[2][1] != "–" {
		t.Errorf("%q", rows)
	}
}

// What is claimed and what was seen share an axis, on which an end that is infinite
// goes to the border.
// A name of a lane begins, or ends, with it, and where it is too long for a phone there
// is a shorter one, which only the style sheet shows.
func TestLaneNames(t *testing.T) {
	const short = "E reset_peer to 100% on events" // 30 characters, 60% of a phone
	long := strings.Repeat("catalog: POST ", 10)
	for _, row := range []struct {
		name     string
		from, to float64
		want     []text
	}{
		{short, 3, 4, []text{{X: "30.00", Text: short}}},
		{short, 5.4, 7, []text{{X: "70.00", Anchor: "end", Text: short}}},
		{short, 5.4, 5.5, []text{{X: "0", Text: short}}}, // there is room neither behind nor before
		{long, 0, 4, []text{
			{X: "0.00", Text: long[:104] + "…", Class: "wide"}, {X: "0.00", Text: long[:45] + "…", Class: "narrow", Hidden: true}}},
	} {
		c := &Chart{ID: "a", X: Axis{Kind: Time, Max: 10}, Lanes: []Lane{{Name: row.name, Spans: []Stretch{{From: row.from, To: row.to}}}}}
		c.Fit()
		var got []text
		for _, drawn := range c.draw().Texts {
			if class, ok := strings.CutPrefix(drawn.Class, "name halo"); ok {
				got = append(got, text{X: drawn.X, Anchor: drawn.Anchor, Text: drawn.Text, Class: strings.TrimSpace(class), Hidden: drawn.Hidden})
			}
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s from %v (-want +got):\n%s", row.name, row.from, diff)
		}
	}
}

// What was seen is written out to its end, wherever it lies.
func TestIntervalIsNotCutOff(t *testing.T) {
	const text = "99.26% to 101.82%" // 17 characters, 65% of the width
	for want, v := range map[string]Interval{
		`x="100.00%" y="10" text-anchor="end"`:   {SeenLow: 99.26, SeenHigh: 101.82, AllowedLow: 95, AllowedHigh: math.Inf(1)},
		`x="0.00%" y="10" text-anchor="start"`:   {SeenLow: 1, SeenHigh: 2, AllowedHigh: 10},
		`x="49.11%" y="10" text-anchor="middle"`: {SeenLow: 5, SeenHigh: 6, AllowedHigh: 10},
	} {
		v.SeenText, v.AllowedText = text, "as much"
		if svg, err := v.SVG(); err != nil || !strings.Contains(string(svg), want) {
			t.Errorf("want %s in %s (%v)", want, svg, err)
		}
	}
}

func TestInterval(t *testing.T) {
	for _, c := range []struct {
		v         Interval
		low, high float64
	}{
		{Interval{SeenLow: 5, SeenHigh: 5, AllowedLow: math.Inf(-1), AllowedHigh: 10}, 0, 11.2},
		{Interval{SeenLow: 1990, SeenHigh: 2010, AllowedLow: 1900, AllowedHigh: 2100}, 1800, 2136},
		{Interval{SeenLow: 0, SeenHigh: 0, AllowedLow: math.Inf(-1), AllowedHigh: 0}, 0, 1},
		{Interval{SeenLow: math.Inf(-1), SeenHigh: math.Inf(1), AllowedLow: math.Inf(-1), AllowedHigh: math.Inf(1)}, 0, 1},
	} {
		low, high := c.v.ends()
		if math.Abs(low-c.low) > 1e-6 || math.Abs(high-c.high) > 1e-6 {
			t.Errorf("%+v is drawn from %v to %v, want %v to %v", c.v, low, high, c.low, c.high)
		}
		if svg, err := c.v.SVG(); err != nil || strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
			t.Errorf("%v: %s", err, svg)
		}
	}
}
