package reports

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/series"
	"github.com/stormctl/stormctl/load/input"
	"github.com/stormctl/stormctl/reports/chart"
)

// resultPage makes the page of a result.
func resultPage(r *result.Result, d detail) (*htmlPage, error) {
	p := &htmlPage{Name: nameOf(r.Name), About: shown(r.About, 1000), ClaimsTitle: "Claims", NoClaims: nothingClaimed,
		SpectrumTitle: "How long it took, before, during and after the faults",
		SpectrumNote: "Each line is a distribution: its figure at 99% is the time that 99% of the requests kept within. " +
			"In front, since a request was due; behind, of a link's exchanges."}
	ruling := r.Ruling
	if len(r.Verdicts) == 0 {
		ruling = max(ruling, judge.Inconclusive)
	}
	p.Class, p.Mark, p.Word = ruling.String(), Mark(ruling), strings.ToUpper(ruling.String())
	p.Facts = resultFacts(r, ruling)
	p.Warnings = resultWarnings(r)
	p.claimLines(r, d)
	bands, lanes, others := faultBands(r.Faults, r.Seconds)
	for _, step := range []func() error{
		func() error { return p.timeline(r, d, bands, lanes, others) },
		func() error { return p.articles(r, d, bands) },
		func() error { return p.spectra(r.Series, d) },
		func() error { return p.tables(r, d) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	p.harnessFacts(r)
	p.again(r)
	p.Nav = []link{{"time", "Time"}}
	if len(p.Articles) > 0 {
		p.Nav = append(p.Nav, link{"evidence", "Evidence"})
	}
	if len(p.Spectra) > 0 {
		p.Nav = append(p.Nav, link{"spectrum", "Spectrum"})
	}
	p.Nav = append(p.Nav, link{"figures", "Figures"}, link{"harness", "Harness"}, link{"again", "Experiment"})
	return p, nil
}

func resultFacts(r *result.Result, ruling judge.Ruling) []fact {
	var sent uint64
	for _, route := range r.Routes {
		sent += route.Requests
	}
	facts := []fact{
		{"", tally(r.Verdicts, ruling) + " " + ruling.String()},
		{"length", Seconds(r.Seconds)},
		{"requests", Count(sent)},
		{"started", startTime(r.Started)},
	}
	if len(r.Verdicts) == 0 {
		facts[0].Text = tally(r.Verdicts, ruling)
	}
	if r.Seed != 0 {
		facts = append(facts, fact{"seed", fmt.Sprint(r.Seed)})
	}
	return facts
}

// resultWarnings is what makes the rulings weaker than they look.
func resultWarnings(r *result.Result) (all []warning) {
	switch {
	case r.Partial && r.Stopped == result.GoesOn:
		all = append(all, warning{"NOT OVER", stopped(r)})
	case r.Partial:
		all = append(all, warning{"STOPPED EARLY", shown(stopped(r), 2000) + " What is told is only what was seen until then."})
	}
	if h := r.Harness; !h.Healthy {
		text := cmp.Or(shown(h.Effect, 1000), unhealthyMeans)
		if len(h.Problems) > 0 {
			text += ": " + shown(h.Problems[0], 200)
		}
		if more := len(h.Problems) - 1; more > 0 {
			text += fmt.Sprintf(" (and %d more, see below)", more)
		}
		all = append(all, warning{unhealthy, text})
	}
	const most = 10
	for i, text := range r.Missing {
		if i == most {
			all = append(all, warning{faultMissing, otherText(len(r.Missing)-most, "fault", ", see the table of faults")})
			break
		}
		all = append(all, warning{faultMissing, shown(text, 500)})
	}
	for i, text := range r.Notes {
		if i == most {
			all = append(all, warning{"NOTE", otherText(len(r.Notes)-most, "note", " in "+result.File)})
			break
		}
		all = append(all, warning{"NOTE", shown(text, 500)})
	}
	return all
}

// timeline is everything over one axis: faults, front, links, the harness; and below
// it the stretches around faults, where the columns of the whole are longer than a
// second.
func (p *htmlPage) timeline(r *result.Result, d detail, bands []chart.Band, lanes []chart.Lane, others int) error {
	events, eventLanes := eventMarks(r.Events, r.Seconds)
	lanes = append(lanes, eventLanes...)
	faults := &chart.Chart{ID: "t-faults", Title: "Faults and events",
		Desc: "When each fault was in force, and what else happened. Its letter or number marks it in the charts below.",
		X:    chart.Axis{Kind: chart.Time, Max: r.Seconds}, Lanes: lanes, Bands: bands, Sync: "t"}
	if r.Series == nil || r.Series.Whole == nil || len(r.Series.Whole.Offered) == 0 {
		p.StackNote = "There are no figures over time: the run ended before its first second did, or was made by an earlier version; " +
			"stormctl judge finds them where there are any."
		if len(lanes) == 0 {
			return nil
		}
		g, err := p.group("", faults)
		p.Stack = []chartGroup{g}
		return err
	}
	whole := r.Series.Whole
	st := newStack("t", whole, bands)
	faults.X = st.x
	var charts []*chart.Chart
	if len(lanes) > 0 {
		faults.Unwell = st.unwell()
		charts = append(charts, faults)
	}
	p.StackNote = columnsNote(whole, len(bands) > 0) + otherText(others, "fault", " without a letter here, see the table of faults")
	charts = append(charts, st.rate(), st.times("response", "Response time",
		"Percentiles of what ended in each column, since a request was due.", whole.Response, 170))
	for _, c := range charts[len(charts)-2:] {
		c.Marks = append(c.Marks, events...)
	}
	if err := p.add("", charts); err != nil {
		return err
	}
	if err := p.linkCharts(st, r, d); err != nil {
		return err
	}
	for i, t := range whole.Targets {
		if err := p.add("", st.weights(i, t)); err != nil {
			return err
		}
	}
	if err := p.add("", st.harness()); err != nil {
		return err
	}
	if whole.Step > 1 {
		return p.windows(r.Series.Windows, d, bands)
	}
	return nil
}

// columnsNote says what a column is, and what the marks in the charts mean.
func columnsNote(s *series.Series, faults bool) string {
	text := "Each column is a second"
	if s.Step > 1 {
		text = fmt.Sprintf("Each column is %s: counts are added up, percentiles are of all requests in it", Seconds(float64(s.Step)))
	}
	text += "."
	if faults {
		text += " Letters and shades are faults."
	}
	if slices.Contains(s.Harness.Unwell, true) {
		text += " Hatched: the harness was not well."
	}
	return text + " "
}

func (p *htmlPage) add(heading string, charts []*chart.Chart) error {
	g, err := p.group(heading, charts...)
	p.Stack = append(p.Stack, g)
	return err
}

// linkCharts are those of the links that matter most: those that a claim shows
// something of or a fault was on, then those with the most exchanges.
func (p *htmlPage) linkCharts(st *stack, r *result.Result, d detail) error {
	limits, states := map[string]int{}, map[string]*judge.States{}
	weight := map[string]uint64{}
	for _, l := range r.Links {
		weight[l.Name] = l.Exchanges
	}
	const first = 1 << 62
	for _, f := range r.Faults {
		weight[f.On] |= first
	}
	for _, v := range r.Verdicts {
		for _, e := range v.Exhibits {
			switch {
			case e.States != nil:
				states[e.States.Link] = e.States
				weight[e.States.Link] |= first
			case e.Level != nil:
				limits[e.Level.Link] = max(limits[e.Level.Link], e.Level.Limit)
				weight[e.Level.Link] |= first
			}
		}
	}
	links := slices.Clone(st.s.Links)
	slices.SortStableFunc(links, func(a, b series.Link) int { return cmp.Compare(weight[b.Name], weight[a.Name]) })
	for i, l := range links {
		if i == d.links {
			break
		}
		charts := st.link(i, l, limits[l.Name], states[l.Name])
		if len(charts) == 0 { // no call came: the table of links says so
			continue
		}
		if err := p.add("Link "+nameOf(l.Name), charts); err != nil {
			return err
		}
	}
	if n := len(links) - d.links + st.s.OtherLinks; len(links) > d.links || st.s.OtherLinks > 0 {
		p.WindowsNote = otherText(max(n, st.s.OtherLinks), "link", " without charts, see the table of links")
	}
	return nil
}

// windows are the seconds around faults, folded.
func (p *htmlPage) windows(all []series.Window, d detail, bands []chart.Band) error {
	for i, w := range all {
		if i == d.windows {
			p.WindowsNote += " " + otherText(len(all)-i, "window", " around faults in "+result.File)
			break
		}
		if w.Series == nil || len(w.Series.Offered) == 0 {
			continue
		}
		st := newStack(fmt.Sprintf("w%d", i), w.Series, bands)
		charts := []*chart.Chart{st.rate(), st.times("response", "Response time", "Percentiles of each second.", w.Series.Response, 140)}
		for k, l := range w.Series.Links {
			if k < 2 {
				of := st.link(k, l, 0, nil)
				charts = append(charts, of[:min(2, len(of))]...)
			}
		}
		g, err := p.group("Second by second around "+nameOf(w.Fault), charts...)
		if err != nil {
			return err
		}
		p.Windows = append(p.Windows, g)
	}
	return nil
}

// health says whether the harness was well.
func (p *htmlPage) health(well bool, problems []string) {
	p.HarnessClass, p.HarnessWord = "held", "✓ It was well."
	if !well {
		p.HarnessClass, p.HarnessWord = "inconclusive", "? It was not well, and "+unhealthyMeans+":"
	}
	for _, text := range problems {
		p.Problems = append(p.Problems, shown(text, 1000))
	}
}

// harnessFacts are how the harness and its host were.
func (p *htmlPage) harnessFacts(r *result.Result) {
	h := r.Harness
	p.health(h.Healthy, h.Problems)
	p.Harness = []fact{
		{"due", Count(h.Offered)}, {"sent", Count(h.Sent)}, {"never sent", Count(h.Unsent)},
		{"send lag p50", Millis(h.SendLag.P50)}, {"p99", Millis(h.SendLag.P99)}, {"max", Millis(h.SendLag.Max)},
		{"hiccups p99", Millis(h.HiccupP99)}, {"max", Millis(h.HiccupMax)},
		{"CPU", fixed(h.CPU, 2) + " cores"},
	}
	if h.Steal >= 0 {
		p.Harness = append(p.Harness, fact{"stolen by the host", fixed(h.Steal, 2) + " cores"})
	}
	if h.Pressure >= 0 {
		p.Harness = append(p.Harness, fact{"threads waited for a core", Percent(100*h.Pressure) + " of the worst second"})
	}
	p.Harness = append(p.Harness, fact{"records lost", Count(h.Lost)})
	if h.Steps > 0 {
		p.Harness = append(p.Harness, fact{"followed an answer", Count(h.Steps)})
	}
	if r.Warmup != nil {
		p.Problems = append(p.Problems, "Warm-up, before the clock began and in no other figure: "+warmupText(r.Warmup)+".")
	}
}

// experimentFile is the experiment in a run directory, as it was resolved.
var experimentFile = input.Kind{Name: "an experiment", MaxSize: 4 << 20}

// mostExperiment is how much of it a page shows, in bytes.
const mostExperiment = 200 << 10

// again is the experiment, and how to run and judge it again.
func (p *htmlPage) again(r *result.Result) {
	const file = "experiment.yaml"
	p.AgainTitle = "The experiment, and how to run it again"
	if r.Dir == "" {
		p.Command = "stormctl run EXPERIMENT.yaml" // what its file is called is not known
	} else {
		p.Command = "stormctl run " + shellWord(filepath.Join(r.Dir, file))
	}
	if r.Seed != 0 {
		p.Command += fmt.Sprintf(" --seed %d", r.Seed)
	}
	if r.Dir == "" {
		return
	}
	p.Command += "\nstormctl judge " + shellWord(r.Dir)
	text, err := input.Read(filepath.Join(r.Dir, file), experimentFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.ExperimentNote = "The run directory has no " + file + "."
	case err != nil:
		p.ExperimentNote = "The experiment cannot be shown: " + Clean(err.Error()) + "."
	case len(text) > mostExperiment:
		p.Experiment = CleanLines(strings.ToValidUTF8(string(text[:mostExperiment]), ""))
		p.ExperimentNote = fmt.Sprintf("It goes on: the run directory's %s has %s.", file, bytesText(float64(len(text))))
	default:
		p.Experiment = CleanLines(string(text))
	}
}
