package reports

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/compare"
)

// comparison has a row and a claim of each kind; every word of others is name.
func comparison(name string) *compare.Comparison {
	none := compare.Number(math.NaN())
	summary := func(dir string) compare.Summary {
		return compare.Summary{Dir: dir, Started: time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC), Seed: 7, Seconds: 30, Requests: 15000,
			Healthy: true, Pressure: 0.25,
			Metrics: map[string]compare.Number{"p50": 5.3, "p90": 6, "p99": 9, "p99.9": none, "success": 1, "rate": 500}}
	}
	return &compare.Comparison{
		Schema: compare.Schema, Ruling: compare.Worse, Way: compare.Rounds, Method: "5 + 5 runs", Notes: []string{name},
		Reasons: []string{name + " p50 is worse: +10.2% (+9.1% to +11.4%), beyond its tolerance of 3% and 0.2ms"},
		Rows: []compare.Row{
			{Metric: "p50", Subject: name, Unit: "ms", Base: 5.31, Now: 5.85, Change: 10.2, Low: 9.1, High: 11.4,
				Tolerance: &compare.Tolerance{Relative: 0.03, Absolute: 0.2}, Resolution: 5.2, Ruling: compare.Worse, Gated: true},
			{Metric: "p99", Subject: name, Unit: "ms", Base: 900, Now: 1200, Change: 33, Low: -2, High: 120,
				Tolerance: &compare.Tolerance{Relative: 0.1, Absolute: 1}, Resolution: 4e4, Ruling: compare.Undecided, Gated: true},
			{Metric: "p99.9", Subject: name, Unit: "ms", Base: none, Now: none, Change: none, Low: none, High: none, Resolution: none,
				Ruling: compare.Undecided, Reason: "no tolerance"},
			{Metric: "success", Subject: name, Unit: "share", Base: 1, Now: 1, Change: 0, Low: -0.02, High: 0.02,
				Tolerance: &compare.Tolerance{Absolute: 0.001}, Resolution: 0.09, Ruling: compare.NotWorse, Gated: true},
			{Metric: "rate", Subject: name, Unit: "per_s", Base: 500, Now: 499.5, Change: -0.1, Low: -0.3, High: 0.1,
				Tolerance: &compare.Tolerance{Relative: 0.03}, Resolution: 3.2, Ruling: compare.NotWorse, Gated: true},
		},
		Claims: []compare.Claimed{
			{Name: "steady: " + name, Base: compare.Rulings{Held: 5}, Now: compare.Rulings{Held: 4, Refuted: 1},
				Ruling: compare.Undecided, Gated: true,
				Reason: "it was held, and is held in 4 of 5, refuted in 1"},
			{Name: "breaker: " + name, Base: compare.Rulings{Inconclusive: 5}, Now: compare.Rulings{Inconclusive: 5}, Ruling: compare.Undecided,
				Reason: "inconclusive on both sides"},
		},
		Base: []compare.Summary{summary("gate/old-1")}, Now: []compare.Summary{summary(name)},
	}
}

func TestComparison(t *testing.T) {
	for format, write := range map[string]func(io.Writer, *compare.Comparison) error{
		"text":     func(w io.Writer, c *compare.Comparison) error { return Comparison(w, c, TextOptions{}) },
		"json":     ComparisonJSON,
		"markdown": ComparisonMarkdown,
		"csv":      ComparisonCSV,
	} {
		for name, word := range map[string]string{"comparison": "buy", "hostile-comparison": hostile + "|`<b>@all_*#&"} {
			t.Run(name+"/"+format, func(t *testing.T) {
				var out bytes.Buffer
				if err := write(&out, comparison(word)); err != nil {
					t.Fatal(err)
				}
				if name == "comparison" {
					golden(t, name+"."+format, out.Bytes())
				}
				for _, line := range strings.Split(out.String(), "\n") {
					if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.ContainsAny(line, "\x1b\x07\r\u202e") {
						t.Errorf("a name did something: %q", line)
					}
				}
				if format == "markdown" && strings.ContainsAny(out.String(), "`@") {
					t.Errorf("a name is markup:\n%s", out.String())
				}
			})
		}
	}
}

// Machines read what is written: a line of CSV per run, with as many fields as its
// head has, and figures that are none.
func TestComparisonIsRead(t *testing.T) {
	var out bytes.Buffer
	if err := ComparisonCSV(&out, comparison(hostile)); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(lines) != 3 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	out.Reset()
	if err := ComparisonJSON(&out, comparison(strings.ToValidUTF8(hostile, ""))); err != nil {
		t.Fatal(err)
	}
	var back compare.Comparison
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.Rows[0].Subject != strings.ToValidUTF8(hostile, "") ||
		!math.IsNaN(float64(back.Rows[2].Base)) {
		t.Errorf("%v: %+v", err, back.Rows)
	}
}
