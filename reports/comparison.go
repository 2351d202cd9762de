package reports

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/compare"
	"github.com/stormctl/stormctl/chaos/judge"
)

// Comparison writes what a comparison came to for people: a row for each metric,
// what became of the claims, what weakens it, and as the last line the ruling.
func Comparison(w io.Writer, c *compare.Comparison, o TextOptions) error {
	s := summary{wrapped: newWrapped(o), color: o.Color}
	s.prose("", 0, "Compared: "+c.Method+".")
	s.heading("Metrics: the change, and what it is at least and at most, each with 95% confidence")
	var rows [][]string
	for _, r := range c.Rows {
		change, low, high := r.Bounds()
		rows = append(rows, []string{rowMark(r), Clean(r.Name()), metricValue(r.Unit, r.Base), metricValue(r.Unit, r.Now),
			change, low, high, cmp.Or(r.Allowed(), unknown), rowRuling(r), r.Found()})
	}
	table(&s.out, s.tables, []column{{}, {title: "metric"}, {title: "base", right: true}, {title: "now", right: true},
		{title: "change", right: true}, {title: "least", right: true}, {title: "most", right: true},
		{title: "tolerance", rank: 2}, {title: "ruling"}, {title: "would have found", right: true, rank: 1}}, rows)
	var shown []string
	for _, r := range c.Rows {
		if !r.Gated {
			shown = append(shown, r.Name()+" ("+r.Reason+")")
		}
	}
	if shown != nil {
		s.prose("  ", 2, "Shown, and not ruled on: "+strings.Join(shown, ", ")+".")
	}
	for _, claim := range c.Claims {
		s.out.WriteByte('\n')
		s.prose(s.paint(asClaim(claim.Ruling), compareMark(claim.Ruling, claim.Gated))+" ", 2, claim.Name)
		s.prose("  ", 2, claimRuling(claim)+": "+claim.Reason)
	}
	s.out.WriteByte('\n')
	for _, note := range c.Notes {
		s.prose(s.paint(judge.Inconclusive, "NOTE")+"  ", len("NOTE  "), note)
	}
	ruling := strings.ToUpper(c.Ruling.String())
	s.prose(s.paint(asClaim(c.Ruling), ruling)+"  ", len(ruling)+2, strings.Join(c.Reasons, "; "))
	_, err := w.Write(s.out.Bytes())
	return err
}

// metricValue is one in its unit.
func metricValue(unit string, v compare.Number) string {
	switch unit {
	case "share":
		return Percent(100 * float64(v))
	case "per_s":
		return PerSecond(float64(v))
	}
	return exactMillis(float64(v))
}

// exactMillis is Millis with a digit more: two systems that are compared differ in
// what Millis leaves out.
func exactMillis(v float64) string {
	if v >= 0.995 && v < 99.95 {
		return fixed(v, 2) + "ms"
	}
	return Millis(v)
}

// asClaim is the ruling on a claim that means as much: "it is not worse".
func asClaim(r compare.Ruling) judge.Ruling {
	switch r {
	case compare.NotWorse:
		return judge.Held
	case compare.Worse:
		return judge.Refuted
	}
	return judge.Inconclusive
}

func compareMark(r compare.Ruling, gated bool) string {
	if !gated {
		return "-"
	}
	return Mark(asClaim(r))
}

func rowMark(r compare.Row) string { return compareMark(r.Ruling, r.Gated) }

// rowRuling is the ruling on a row, with the reason where there is no figure for it.
func rowRuling(r compare.Row) string {
	switch {
	case !r.Gated:
		return "shown"
	case math.IsNaN(float64(r.Change)): // it could not be compared
		return r.Ruling.String() + ": " + r.Reason
	}
	return r.Ruling.String()
}

func claimRuling(c compare.Claimed) string {
	if !c.Gated {
		return "not compared"
	}
	return c.Ruling.String()
}

// ComparisonJSON writes a comparison as one indented document that ends in a
// newline.
func ComparisonJSON(w io.Writer, c *compare.Comparison) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write comparison as JSON: %w", err)
	}
	_, err = w.Write(append(CleanJSON(text), '\n'))
	return err
}

// ComparisonMarkdown writes it for a pull request or a summary of a pipeline.
func ComparisonMarkdown(w io.Writer, c *compare.Comparison) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s %s\n\n", Mark(asClaim(c.Ruling)), c.Ruling)
	for _, reason := range c.Reasons {
		fmt.Fprintf(&b, "- %s\n", markdownText(reason))
	}
	for _, note := range c.Notes {
		fmt.Fprintf(&b, "- Note: %s\n", markdownText(note))
	}
	b.WriteString("\n| | metric | base | now | change, each bound with 95% | tolerance | ruling | would have found |\n")
	b.WriteString("| --- | --- | ---: | ---: | --- | --- | --- | ---: |\n")
	for _, r := range c.Rows {
		ruling := rowRuling(r)
		if !r.Gated {
			ruling += ": " + r.Reason
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", rowMark(r), markdownText(r.Name()), metricValue(r.Unit, r.Base),
			metricValue(r.Unit, r.Now), r.Span(), cmp.Or(r.Allowed(), unknown), markdownText(ruling), r.Found())
	}
	if len(c.Claims) > 0 {
		b.WriteString("\n| | claim | base | now | ruling |\n| --- | --- | --- | --- | --- |\n")
		for _, claim := range c.Claims {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", compareMark(claim.Ruling, claim.Gated), markdownText(claim.Name),
				claim.Base, claim.Now, claimRuling(claim))
		}
	}
	fmt.Fprintf(&b, "\n<sub>%s</sub>\n", markdownText(c.Method))
	_, err := io.WriteString(w, b.String())
	return err
}

// csvMetrics are the columns of ComparisonCSV that hold a metric.
var csvMetrics = []struct{ metric, column string }{
	{"p50", "p50_ms"}, {"p90", "p90_ms"}, {"p99", "p99_ms"}, {"p99.9", "p99_9_ms"}, {"success", "success"}, {"rate", "rate_per_s"},
}

// ComparisonCSV writes a line per run, over all of its routes, for tools that look
// for change over months.
func ComparisonCSV(w io.Writer, c *compare.Comparison) error {
	out := csv.NewWriter(w)
	columns := []string{"side", "dir", "started", "seed", "duration_s", "requests", "harness_healthy", "cpu_pressure"}
	for _, m := range csvMetrics {
		columns = append(columns, m.column)
	}
	_ = out.Write(columns) // Error has it, as of all that follow
	for _, side := range []struct {
		name string
		runs []compare.Summary
	}{{"base", c.Base}, {"now", c.Now}} {
		for _, r := range side.runs {
			line := []string{side.name, cell(r.Dir), r.Started.UTC().Format(time.RFC3339Nano), strconv.FormatUint(r.Seed, 10),
				digits(r.Seconds), strconv.FormatUint(r.Requests, 10), strconv.FormatBool(r.Healthy), digits(r.Pressure)}
			for _, m := range csvMetrics {
				line = append(line, digits(r.Metrics[m.metric]))
			}
			_ = out.Write(line)
		}
	}
	out.Flush()
	return out.Error()
}

// digits is a figure for machines; "" where there is none.
func digits(n compare.Number) string {
	if v := float64(n); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	return ""
}
