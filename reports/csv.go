package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/series"
)

// csvHead names the columns of CSV. They keep their names and order; more may come
// behind them.
var csvHead = []string{"at_s", "series", "name", "value", "length_s", "of"}

// CSV writes the run over its length as a table in long form: a row for each column of
// each series, and for each fault one of when it came and one of when it was gone. A
// value that is not known is empty. docs/results.md has the names.
func CSV(w io.Writer, r *result.Result) error {
	t := &csvTable{out: csv.NewWriter(w)}
	t.row(csvHead...)
	for _, f := range r.Faults {
		if f.Injected >= 0 {
			t.row(decimal(f.Injected), "fault", cell(f.Name), "1", "", "run")
		}
		if f.Healed >= 0 {
			t.row(decimal(f.Healed), "fault", cell(f.Name), "0", "", "run")
		}
	}
	return t.view("run", Clean(r.Name), r.Series)
}

// LoadCSV writes an ad-hoc load over its length as such a table, in which the column
// of says load.
func LoadCSV(w io.Writer, l *Load) error {
	t := &csvTable{out: csv.NewWriter(w)}
	t.row(csvHead...)
	return t.view("load", Clean(l.URL), l.Series)
}

// view writes all columns of a view, and ends the table; nil has none.
func (t *csvTable) view(of, name string, view *series.View) error {
	if view != nil {
		t.series(of, view.Whole)
		for i, window := range view.Windows {
			t.series(fmt.Sprintf("window %d", i+1), window.Series)
		}
	}
	t.out.Flush()
	if err := t.out.Error(); err != nil {
		return fmt.Errorf("write series of %s as CSV: %w", name, err)
	}
	return nil
}

// csvTable is what rows are written to.
type csvTable struct {
	out         *csv.Writer
	at, lengths []string // of the columns of the present series
	of          string
}

// row writes a row; an error is kept by the writer.
func (t *csvTable) row(fields ...string) { _ = t.out.Write(fields) }

// cell is text of others as a field: a spreadsheet computes what begins as a formula does.
func cell(text string) string {
	text = Clean(text)
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// series writes all that is in a series; of says what it is of.
func (t *csvTable) series(of string, s *series.Series) {
	t.of, t.at, t.lengths = of, nil, nil
	from, to := s.From.Duration().Seconds(), s.To.Duration().Seconds()
	for i := range s.Ended {
		at := from + float64(i*s.Step)
		t.at = append(t.at, decimal(at))
		t.lengths = append(t.lengths, strconv.FormatFloat(min(float64(s.Step), to-at), 'f', -1, 32))
	}
	t.counts("offered", "", s.Offered)
	t.counts("ended", "", s.Ended)
	t.counts("unsent", "", s.Unsent)
	for _, outcome := range slices.Sorted(maps.Keys(s.Outcomes)) {
		t.counts("outcome", outcome, s.Outcomes[outcome])
	}
	t.times("response", "", &s.Response)
	for i := range s.Routes {
		r := &s.Routes[i]
		t.counts("route_ended", r.Name, r.Ended)
		t.counts("route_bad", r.Name, r.Bad)
		t.times("route_response", r.Name, &r.Response)
	}
	for i := range s.Links {
		l := &s.Links[i]
		t.counts("link_ended", l.Name, l.Ended)
		t.counts("link_errors", l.Name, l.Errors)
		t.gauge("link_in_flight_least", l.Name, l.InFlight.Least)
		t.gauge("link_in_flight_most", l.Name, l.InFlight.Most)
		t.times("link_took", l.Name, &l.Took)
	}
	for _, target := range s.Targets {
		for _, of := range []struct {
			what  string
			gauge series.Gauge
		}{{"target_rss_mib", target.RSS}, {"target_open_files", target.Files}, {"target_threads", target.Threads}} {
			t.gauge(of.what+"_least", target.Name, of.gauge.Least)
			t.gauge(of.what+"_most", target.Name, of.gauge.Most)
		}
	}
	h := &s.Harness
	t.gauge("harness_lag_p99_ms", "", h.LagP99)
	t.gauge("harness_lag_max_ms", "", h.LagMax)
	t.gauge("harness_hiccup_max_ms", "", h.Hiccup)
	t.gauge("harness_cpu_pressure", "", h.Pressure)
	t.gauge("harness_cpu_cores", "", h.CPU)
	t.counts("harness_lost", "", h.Lost)
	writeColumn(t, "harness_unwell", "", h.Unwell, func(unwell bool) string {
		if unwell {
			return "1"
		}
		return "0"
	})
}

func (t *csvTable) counts(what, name string, list []uint64) {
	writeColumn(t, what, name, list, func(n uint64) string { return strconv.FormatUint(n, 10) })
}

func (t *csvTable) gauge(what, name string, list []float64) {
	writeColumn(t, what, name, list, decimal)
}

func (t *csvTable) times(what, name string, p *series.Percentiles) {
	value := func(v *float64) string {
		if v == nil {
			return ""
		}
		return decimal(*v)
	}
	writeColumn(t, what+"_p50_ms", name, p.P50, value)
	writeColumn(t, what+"_p99_ms", name, p.P99, value)
	writeColumn(t, what+"_p99_9_ms", name, p.P999, value)
	writeColumn(t, what+"_max_ms", name, p.Max, value)
}

// writeColumn writes the values of one series; those behind its last column, which only a
// file that was edited has, are left out.
func writeColumn[T any](t *csvTable, what, name string, list []T, text func(T) string) {
	name = cell(name)
	for i := range min(len(list), len(t.at)) {
		t.row(t.at[i], what, name, text(list[i]), t.lengths[i], t.of)
	}
}
