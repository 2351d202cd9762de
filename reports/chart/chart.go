package chart

import (
	"encoding/json"
	"math"
	"strconv"
)

// Chart is one chart: series over columns of equal width, or over points, or lanes.
// Its strings are plain text of any content.
type Chart struct {
	ID    string `json:"id"` // unique in its page, of letters, digits and hyphens
	Title string `json:"title"`
	Desc  string `json:"desc,omitempty"` // what is to be seen, for who does not see it
	X     Axis   `json:"x"`
	Y     Axis   `json:"y"`

	// Columns: column i begins at From + i × Step, and there are N of them; the last
	// ends with the axis. Or, where At is set, points.
	From float64 `json:"from"`
	Step float64 `json:"step,omitempty"`
	N    int     `json:"n,omitempty"`
	At   Values  `json:"at,omitempty"`

	Series []Series `json:"series,omitempty"` // drawn in this order: areas first
	Lanes  []Lane   `json:"lanes,omitempty"`  // instead of series
	Stairs bool     `json:"stairs,omitempty"` // each lane follows from the first: a line leads down to its beginning
	Bands  []Band   `json:"bands,omitempty"`  // behind all of it
	Unwell []Span   `json:"unwell,omitempty"` // hatched: what the harness was not well in
	Marks  []Mark   `json:"marks,omitempty"`

	Height int    `json:"height,omitempty"` // of the plot in pixels; 0 is 140
	Sync   string `json:"sync,omitempty"`   // charts of one name have one x axis, cursor and zoom
}

// Axis is one axis. Min and Max are its ends; of y they are found where both are 0.
type Axis struct {
	Kind  Kind    `json:"kind"`
	Label string  `json:"label,omitempty"`
	Log   bool    `json:"log,omitempty"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Ticks Values  `json:"ticks,omitempty"` // of y, and of x in powers of ten, which Fit sets
	// Digits are the significant ones of what is written along the axis, which Fit
	// sets so that no two ticks read the same; 0 is usualDigits.
	Digits int `json:"digits,omitempty"`
}

// Kind is what an axis counts, by which its ticks are written.
type Kind string

const (
	Time     Kind = "time"     // seconds since the start of the load
	Millis   Kind = "ms"       // a duration in milliseconds
	Rate     Kind = "rate"     // per second
	Count    Kind = "count"    // a number of things
	Share    Kind = "share"    // a part of 1, written as percent
	Percent  Kind = "pct"      // the same in percent already
	Quantile Kind = "quantile" // −log10(1−q): 1 is the p90, 2 the p99
	Plain    Kind = "plain"    // any other figure
)

// Series is one line or area. Y has one value for each column or point; NaN is none.
type Series struct {
	Name  string `json:"name"`
	Tone  Tone   `json:"tone"`
	Dash  string `json:"dash,omitempty"` // as in stroke-dasharray; "" is a whole line
	Y     Values `json:"y"`
	Low   Values `json:"low,omitempty"`   // the lower edge of an area; absent is 0
	Area  bool   `json:"area,omitempty"`  // filled from Low to Y
	Range bool   `json:"range,omitempty"` // Low and Y are the least and the most of one figure; else an area is stacked on Low
	Dots  bool   `json:"dots,omitempty"`  // points alone, without a line
	Line  bool   `json:"line,omitempty"`  // from point to point, over what is missing; else a step for each column
}

// Lane is a row of stretches, each with its name.
type Lane struct {
	Name  string    `json:"name,omitempty"` // above the row
	Spans []Stretch `json:"spans"`
}

// Stretch is a part of a lane.
type Stretch struct {
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Name  string  `json:"name,omitempty"`
	Tone  Tone    `json:"tone"`
	Level float64 `json:"level"` // how high it is drawn, a part of 1: what tells states apart without colour
}

// Band is a labelled stretch of the x axis through all of the chart.
type Band struct {
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Label string  `json:"label,omitempty"` // a letter or two
	Title string  `json:"title,omitempty"` // what it is
	Tone  Tone    `json:"tone"`
}

// Span is a stretch of the x axis.
type Span [2]float64

// Mark is a line across the chart at one value.
type Mark struct {
	At    float64 `json:"at"`
	Label string  `json:"label"`
	Tone  Tone    `json:"tone"`
	X     bool    `json:"x,omitempty"` // of the x axis; else of y
}

// Tone is a colour by name, in light and in dark.
type Tone string

const (
	Ink    Tone = "ink"
	Blue   Tone = "blue"
	Green  Tone = "green"
	Red    Tone = "red"
	Orange Tone = "orange"
	Purple Tone = "purple"
	Teal   Tone = "teal"
	Pink   Tone = "pink"
	Gray   Tone = "gray"
)

// Tones are all tones with their colour on white, which is what a drawing has where
// no style sheet gives it another.
var Tones = map[Tone]string{
	Ink: "#1f2933", Blue: "#2563c4", Green: "#22813f", Red: "#c8292f", Orange: "#b65a0a",
	Purple: "#7440b8", Teal: "#0f7a78", Pink: "#b02a7a", Gray: "#66727f",
}

// Values are figures with four significant digits; NaN is null in JSON.
type Values []float64

func (v Values) MarshalJSON() ([]byte, error) {
	out := append(make([]byte, 0, 5*len(v)+2), '[')
	for i, x := range v {
		if i > 0 {
			out = append(out, ',')
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			out = append(out, "null"...)
			continue
		}
		out = strconv.AppendFloat(out, short(x), 'f', -1, 64)
	}
	return append(out, ']'), nil
}

func (v *Values) UnmarshalJSON(text []byte) error {
	var list []*float64
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*v = make(Values, len(list))
	for i, x := range list {
		if (*v)[i] = math.NaN(); x != nil {
			(*v)[i] = *x
		}
	}
	return nil
}

// short is x with four significant digits; whole numbers keep theirs.
func short(x float64) float64 {
	if x == math.Trunc(x) && math.Abs(x) < 1e15 {
		return x
	}
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	if err != nil {
		return x
	}
	return y
}

// columns is how many columns or points there are.
func (c *Chart) columns() int {
	if c.At != nil {
		return len(c.At)
	}
	return c.N
}

// begin is where column i begins, or where point i is.
func (c *Chart) begin(i int) float64 {
	if c.At != nil {
		return c.At[i]
	}
	return c.From + float64(i)*c.Step
}

// end is where column i ends.
func (c *Chart) end(i int) float64 {
	if c.At != nil && i+1 < len(c.At) {
		return c.At[i+1]
	}
	if c.At != nil || i+1 == c.N {
		return c.X.Max
	}
	return c.From + float64(i+1)*c.Step
}
