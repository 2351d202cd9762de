package reports

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/result"
)

// LoadMarkdown writes a load for pull requests and summaries of jobs in at most
// limit bytes, as Markdown does a run: how its thresholds came out, what weakens it,
// its figures, and folded the rest.
func LoadMarkdown(w io.Writer, l *Load, limit int) error {
	m := markdown{limit: max(limit, leastMarkdown) - len(leftOut)}
	m.loadHead(l)
	m.loadFigures(l)
	m.course(l.Series)
	m.fold("Harness, connections, spectrum", func() { m.loadRest(l) })
	if m.full {
		m.out.WriteString(leftOut)
	}
	_, err := w.Write(m.out.Bytes())
	return err
}

// loadHead says which load it is, and how its thresholds came out.
func (m *markdown) loadHead(l *Load) {
	m.out.WriteString("### Load of " + markdownShort(l.URL, 100) + "\n\n")
	m.out.WriteString(markdownShort(l.Schedule, 200) + ". Started " + startTime(l.Started) + ", " + Seconds(l.Seconds) + ", " +
		number(l.Requests, "request") + ".\n")
	if l.Partial != "" {
		m.warn("STOPPED EARLY", "What is told is only what was seen until then: "+l.Partial+".")
	}
	if !l.Harness.Healthy {
		m.warn(unhealthy, unhealthyMeans+": "+strings.Join(l.Harness.Problems, "; "))
	}
	var rows [][]string
	for _, t := range l.Thresholds {
		rows = append(rows, []string{t.outcome(), markdownText(t.Text), markdownText(t.Value)})
	}
	m.table([]string{"", "fails if", "it is"}, rows)
}

// loadFigures are what callers got.
func (m *markdown) loadFigures(l *Load) {
	m.table([]string{"requests", "rate", "unsent", "success", "outcomes", "statuses"}, [][]string{{Count(l.Requests), PerSecond(l.Rate),
		Count(l.Unsent), Percent(l.Success), markdownText(counts(l.Outcomes)), markdownText(counts(l.Statuses))}})
	row := func(name string, s result.Spread) []string {
		return []string{name, Millis(s.P50), Millis(s.P90), Millis(s.P99), Millis(s.P999), Millis(s.Max)}
	}
	m.table([]string{"", "p50", "p90", "p99", "p99.9", "max"}, [][]string{
		row("response", l.Response), row("service", l.Service), row("send lag", l.Harness.SendLag), row("of it late", l.Harness.Late),
	})
	var rows [][]string
	for _, r := range l.Routes {
		rows = append(rows, routeCells(r))
	}
	m.table(routeTitles, rows)
}

func (m *markdown) loadRest(l *Load) {
	h := l.Harness
	rows := [][]string{
		{"hiccups of the host", fmt.Sprintf("p99 %s, max %s", Millis(h.HiccupP99), Millis(h.HiccupMax))},
		{"CPU", fmt.Sprintf("%s cores, %s µs a request", fixed(h.CPU, 2), fixed(h.CPURequest, 1))},
		{"loops", fmt.Sprintf("%d, %s, at most %s of a core", h.Loops, markdownText(h.Transport), Percent(h.Busy))},
		{"connections", fmt.Sprintf("%s dialled, at most %d open", Count(l.Connections.Dialled), l.Connections.Most)},
		{"received", bytesText(float64(l.Received))},
	}
	if l.Warmup != nil {
		rows = append(rows, []string{"warm-up", warmupText(l.Warmup)})
	}
	for _, host := range l.Hosts {
		if text := hostText(host); text != "" {
			rows = append(rows, []string{"host", markdownText(host.URL + " " + text)})
		}
	}
	m.table([]string{"", ""}, rows)
	rows = nil
	for _, b := range l.Spectrum {
		rows = append(rows, []string{Millis(b.To), strconv.FormatInt(b.Count, 10)})
	}
	m.table([]string{"response time up to", "requests"}, rows)
}
