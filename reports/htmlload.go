package reports

import (
	"fmt"
	"strings"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/reports/chart"
)

// loadPage makes the page of an ad-hoc load.
func loadPage(l *Load, d detail) (*htmlPage, error) {
	p := &htmlPage{Name: nameOf(l.URL), About: shown(l.Schedule, 1000), ClaimsTitle: "Thresholds",
		NoClaims: "No threshold was given (--fail-if).", SpectrumTitle: "How long it took"}
	p.loadRuling(l)
	p.Facts = []fact{
		{"requests", Count(l.Requests)}, {"rate", PerSecond(l.Rate)}, {"success", Percent(l.Success)},
		{"p50", Millis(l.Response.P50)}, {"p99", Millis(l.Response.P99)}, {"p99.9", Millis(l.Response.P999)},
		{"max", Millis(l.Response.Max)},
		{"length", Seconds(l.Seconds)}, {"started", startTime(l.Started)},
	}
	if l.Unsent > 0 {
		p.Warnings = append(p.Warnings, warning{"NEVER SENT", Count(l.Unsent) + " of the requests that were due"})
	}
	if err := p.loadTime(l); err != nil {
		return nil, err
	}
	if err := p.loadSpectrum(l); err != nil {
		return nil, err
	}
	if err := p.loadTables(l, d); err != nil {
		return nil, err
	}
	p.loadHarness(l)
	p.AgainTitle, p.Command = "Where this is from", "stormctl load "+shellWord(l.URL)
	p.ExperimentNote = "Its schedule was: " + shown(l.Schedule, 1000) + ". Flags beside the URL are not in a load's result."
	p.Nav = []link{{"time", "Time"}, {"spectrum", "Spectrum"}, {"figures", "Figures"}, {"harness", "Harness"}}
	if len(p.Spectra) == 0 {
		p.Nav = append(p.Nav[:1], p.Nav[2:]...)
	}
	return p, nil
}

// loadRuling is how the thresholds came out; a load without any has figures and no
// ruling.
func (p *htmlPage) loadRuling(l *Load) {
	if l.Partial != "" {
		p.Warnings = append(p.Warnings, warning{"STOPPED EARLY",
			"What is told is only what was seen until then: " + shown(l.Partial, 500) + "."})
	}
	if !l.Harness.Healthy {
		p.Warnings = append(p.Warnings, warning{unhealthy, unhealthyMeans + ": " + shown(strings.Join(l.Harness.Problems, "; "), 1000)})
	}
	worst := judge.Held
	for _, t := range l.Thresholds {
		line := claimLine{Class: "held", Mark: "✓", Ruling: "passed", Claim: "fails if " + shown(t.Text, 200),
			Why: []reason{{Text: "it is " + shown(t.Value, 100)}}}
		switch {
		case t.Failed:
			line.Class, line.Mark, line.Ruling = "refuted", "✗", "failed"
			worst = max(worst, judge.Refuted)
		case t.Open:
			line.Class, line.Mark, line.Ruling = "inconclusive", "?", "inconclusive"
			worst = max(worst, judge.Inconclusive)
		}
		p.Claims = append(p.Claims, line)
	}
	p.Class, p.Mark = worst.String(), Mark(worst)
	p.Word = map[judge.Ruling]string{judge.Held: "PASSED", judge.Refuted: "FAILED", judge.Inconclusive: "INCONCLUSIVE"}[worst]
	if len(l.Thresholds) == 0 {
		p.Class, p.Mark, p.Word = "soft", "", "LOAD"
	}
}

// loadTime is the load over time.
func (p *htmlPage) loadTime(l *Load) error {
	if l.Series == nil || l.Series.Whole == nil || len(l.Series.Whole.Offered) == 0 {
		p.StackNote = "There are no figures over time: the load ended before its first second did."
		return nil
	}
	st := newStack("t", l.Series.Whole, nil)
	p.StackNote = columnsNote(l.Series.Whole, false)
	charts := append([]*chart.Chart{st.rate(), st.times("response", "Response time",
		"Percentiles of what ended in each column, since a request was due.", l.Series.Whole.Response, 170)}, st.harness()...)
	return p.add("", charts)
}

// loadSpectrum is the distribution of response times: as percentiles where the
// series has them, and as how many took how long.
func (p *htmlPage) loadSpectrum(l *Load) error {
	if err := p.spectra(l.Series, details[0]); err != nil {
		return err
	}
	if len(l.Spectrum) < 2 {
		return nil
	}
	first, last := l.Spectrum[0], l.Spectrum[len(l.Spectrum)-1]
	c := &chart.Chart{ID: "spectrum-all", Title: "How many requests took how long",
		Desc: "A histogram of response times, on an axis of powers of ten.",
		X:    chart.Axis{Kind: chart.Millis, Log: true, Label: "from", Min: max(first.From, first.To/10, 1e-4), Max: last.To},
		Y:    chart.Axis{Kind: chart.Count}, Height: 180}
	s := chart.Series{Name: "requests", Tone: chart.Blue, Area: true}
	for i, b := range l.Spectrum {
		if i > 0 && b.From > l.Spectrum[i-1].To {
			c.At, s.Y = append(c.At, l.Spectrum[i-1].To), append(s.Y, 0)
		}
		c.At, s.Y = append(c.At, max(b.From, c.X.Min)), append(s.Y, float64(b.Count))
	}
	c.Series = []chart.Series{s}
	for _, m := range []struct {
		at   float64
		name string
	}{{l.Response.P50, "p50"}, {l.Response.P99, "p99"}} {
		c.Marks = append(c.Marks, chart.Mark{At: m.at, Label: m.name, Tone: chart.Purple, X: true})
	}
	f, err := p.figure(c, true)
	p.Spectra = append(p.Spectra, f)
	return err
}

func (p *htmlPage) loadTables(l *Load, d detail) error {
	times := grid{Heading: "Times", Heads: heads("", ">p50", ">p90", ">p99", ">p99.9", ">max", "")}
	since := "since the request was due"
	if l.Model == "closed" {
		since = "closed model: what callers would have waited is not in it"
	}
	for _, row := range []struct {
		name, about string
		p50, p90    float64
		p99, p999   float64
		max         float64
	}{
		{"response", since, l.Response.P50, l.Response.P90, l.Response.P99, l.Response.P999, l.Response.Max},
		{"service", "since it was sent", l.Service.P50, l.Service.P90, l.Service.P99, l.Service.P999, l.Service.Max},
		{"send lag", "from due to sent", l.Harness.SendLag.P50, l.Harness.SendLag.P90, l.Harness.SendLag.P99, l.Harness.SendLag.P999,
			l.Harness.SendLag.Max},
	} {
		times.row(row.name, Millis(row.p50), Millis(row.p90), Millis(row.p99), Millis(row.p999), Millis(row.max), row.about)
	}
	ended := grid{Heading: "How requests ended", Heads: heads("", "")}
	ended.row("outcomes", counts(l.Outcomes))
	ended.row("statuses", counts(l.Statuses))
	ended.row("received", bytesText(float64(l.Received)))
	ended.row("connections", fmt.Sprintf("%s dialled; at most %s open", Count(l.Connections.Dialled), Count(uint64(l.Connections.Most))))
	for _, h := range l.Hosts {
		ended.row("host", nameOf(h.URL)+" is "+nameOf(h.Addr)+", spoken to by "+nameOf(h.Protocol))
	}
	p.Tables = append(p.Tables, times, ended)
	if len(l.Routes) > 0 {
		routes, err := routesGrid(l.Routes, l.Series, l.Seconds, d)
		if err != nil {
			return err
		}
		p.Tables = append(p.Tables, routes)
	}
	return nil
}

func (p *htmlPage) loadHarness(l *Load) {
	h := l.Harness
	p.health(h.Healthy, h.Problems)
	if l.Warmup != nil {
		p.Problems = append(p.Problems, "Warm-up, before the clock began and in no other figure: "+warmupText(l.Warmup)+".")
	}
	p.Harness = []fact{
		{"due", Count(l.Due)}, {"sent", Count(l.Requests)}, {"never sent", Count(l.Unsent)},
		{"late p99, the harness's own part", Millis(h.Late.P99)}, {"hiccups p99", Millis(h.HiccupP99)}, {"max", Millis(h.HiccupMax)},
		{"CPU", fixed(h.CPU, 2) + " cores"}, {"a request", fixed(h.CPURequest, 1) + " µs"}, {"loops", fmt.Sprintf("%d, %s", h.Loops,
			h.Transport)},
	}
}
