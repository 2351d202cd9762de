package compare

import (
	"fmt"
	"math"
	"strconv"
)

// Row is one metric of a route or target. Change and its bounds are in percent of
// the base, those of a share in percentage points, and a positive one is more.
type Row struct {
	Metric  string `json:"metric"`
	Subject string `json:"subject,omitempty"` // route or target; "" where there is one only
	Unit    string `json:"unit"`              // of Base and Now: ms, share or per_s

	Base Number `json:"base"` // over all runs of the side together
	Now  Number `json:"now"`

	Change Number `json:"change_pct"`
	Low    Number `json:"change_low_pct"` // the change is no less, and no more than High, each with Confidence
	High   Number `json:"change_high_pct"`

	Tolerance  *Tolerance `json:"tolerance,omitempty"` // nil: it is shown, and not ruled on
	Resolution Number     `json:"resolution_pct"`      // the least change for the worse that would have been found, nine times in ten
	Ruling     Ruling     `json:"ruling"`
	Gated      bool       `json:"gated"` // the ruling counts
	Reason     string     `json:"reason"`
}

// Name is the metric with what it is of.
func (r Row) Name() string {
	if r.Subject == "" {
		return r.Metric
	}
	return r.Subject + " " + r.Metric
}

// Span is the change with its bounds, for people.
func (r Row) Span() string {
	change, low, high := r.Bounds()
	if math.IsNaN(float64(r.Change)) {
		return change
	}
	return fmt.Sprintf("%s (%s to %s)", change, low, high)
}

// Bounds are the same in parts.
func (r Row) Bounds() (change, low, high string) {
	return r.percent(r.Change, "%+.*f"), r.percent(r.Low, "%+.*f"), r.percent(r.High, "%+.*f")
}

// Found is the resolution, for people.
func (r Row) Found() string { return r.percent(r.Resolution, "%.*f") }

// Allowed is the tolerance, for people: "3% and 0.2ms". A change is worse only
// beyond all that it names.
func (r Row) Allowed() string {
	t := r.Tolerance
	switch {
	case t == nil:
		return ""
	case r.Unit == share:
		return short(100*t.Absolute) + " pp"
	case t.Absolute == 0:
		return short(100*t.Relative) + "%"
	case t.Relative == 0:
		return short(t.Absolute) + milliseconds
	}
	return short(100*t.Relative) + "% and " + short(t.Absolute) + milliseconds
}

// percent writes a change with the digits that matter.
func (r Row) percent(n Number, format string) string {
	v := float64(n)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "-"
	}
	unit := "%"
	if r.Unit == share {
		unit = " pp"
	}
	digits := 1
	switch {
	case v > mostShown:
		return fmt.Sprintf("over %d%s", mostShown, unit)
	case math.Abs(v) >= 99.5:
		digits = 0
	case math.Abs(v) < 0.995 && r.Unit == share:
		digits = 3
	}
	return fmt.Sprintf(format, digits, v+0) + unit // + 0: there is no -0
}

// mostShown is from what change on its size is no matter any more, in percent.
const mostShown = 1000

func short(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// Number is a figure; as JSON null where there is none.
type Number float64

func (n Number) MarshalJSON() ([]byte, error) {
	if v := float64(n); math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', 6, 64), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	v, err := strconv.ParseFloat(string(text), 64)
	*n = Number(v)
	return err
}
