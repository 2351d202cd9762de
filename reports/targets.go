package reports

import (
	"math"
	"slices"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/series"
	"github.com/stormctl/stormctl/reports/chart"
)

// weightsTitle is above what targets took.
const weightsTitle = "Targets: what their processes took (least at first, at last, most)"

// weights are the rows of the targets: memory, descriptors, threads, each as the least of
// the first and of the last column that is known, and the most of all.
func weights(view *series.View) (rows [][]string) {
	if view == nil || view.Whole == nil {
		return nil
	}
	for _, t := range view.Whole.Targets {
		row := []string{t.Name}
		for _, of := range []struct {
			gauge series.Gauge
			text  func(float64) string
		}{{t.RSS, mebibytes}, {t.Files, whole}, {t.Threads, whole}} {
			first, last, most := ends(of.gauge)
			row = append(row, of.text(first), of.text(last), of.text(most))
		}
		rows = append(rows, row)
	}
	return rows
}

// ends are the first and the last least of a gauge that are known, and the most of all;
// NaN if none is.
func ends(g series.Gauge) (first, last, most float64) {
	first, last, most = math.NaN(), math.NaN(), math.NaN()
	for i, v := range g.Least {
		if v < 0 {
			continue
		}
		if math.IsNaN(first) {
			first = v
		}
		last = v
		if i < len(g.Most) && !(g.Most[i] <= most) {
			most = g.Most[i]
		}
	}
	return first, last, most
}

func mebibytes(v float64) string {
	if math.IsNaN(v) {
		return unknown
	}
	return fixed(v, 1) + " MiB"
}

func whole(v float64) string {
	if math.IsNaN(v) {
		return unknown
	}
	return grouped(fixed(v, 0))
}

// targets is what the targets took, in the summary of who claims something of it.
func (s *summary) targets() {
	claimed := slices.ContainsFunc(s.result.Verdicts, func(v judge.Verdict) bool { return v.Kind == "growth" })
	rows := weights(s.result.Series)
	if !claimed || rows == nil {
		return
	}
	for i := range rows {
		rows[i][0] = Clean(rows[i][0])
	}
	s.heading(weightsTitle)
	figure := func(title, full string, rank int) column {
		return column{title: title, full: full, right: true, rank: rank}
	}
	table(&s.out, s.tables, []column{{title: "target"},
		figure("RSS at first", "", 0), figure("at last", "RSS at last", 0), figure("most", "RSS at most", 1),
		figure("descriptors at first", "", 0), figure("at last", "descriptors at last", 0), figure("most", "descriptors at most", 2),
		figure("threads at first", "", 3), figure("at last", "threads at last", 3), figure("most", "threads at most", 4)}, rows)
}

func targetsGrid(view *series.View) grid {
	g := grid{Heading: weightsTitle, Heads: heads("target", ">RSS at first", ">at last", ">most", ">descriptors at first",
		">at last", ">most", ">threads at first", ">at last", ">most")}
	for _, row := range weights(view) {
		row[0] = nameOf(row[0])
		g.row(row...)
	}
	return g
}

// weights are the charts of a target.
func (st *stack) weights(i int, t series.Target) []*chart.Chart {
	id, name := "target"+string(rune('a'+i)), nameOf(t.Name)
	area := func(what string, tone chart.Tone, dash string, g series.Gauge) chart.Series {
		return chart.Series{Name: what + ", least to most", Tone: tone, Dash: dash, Y: positive(g.Most), Low: positive(g.Least),
			Area: true, Range: true}
	}
	memory := st.chart(id+"-rss", name+": memory (MiB)",
		"The least and the most memory of the target's processes that was resident, in each column.",
		chart.Axis{Kind: chart.Plain, Label: "MiB"}, 90)
	memory.Series = []chart.Series{area("resident", chart.Purple, "", t.RSS)}
	count := st.chart(id+"-files", name+": descriptors and threads",
		"The least and the most open descriptors and threads of the target's processes.", chart.Axis{Kind: chart.Count}, 90)
	count.Series = []chart.Series{area("descriptors", chart.Teal, "", t.Files), area("threads", chart.Orange, "4 2", t.Threads)}
	return []*chart.Chart{memory, count}
}

// positive has NaN for what is not known.
func positive(list []float64) chart.Values {
	all := make(chart.Values, len(list))
	for i, v := range list {
		if all[i] = v; v < 0 {
			all[i] = math.NaN()
		}
	}
	return all
}
