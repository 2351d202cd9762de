package reports

import (
	"math"
	"slices"
	"strconv"

	"github.com/stormctl/stormctl/chaos/series"
	"github.com/stormctl/stormctl/reports/chart"
)

// spectra are distributions before, during and after the faults: the front's, then
// those of links.
func (p *htmlPage) spectra(view *series.View, d detail) error {
	if view == nil {
		return nil
	}
	front := map[string][]series.Quantile{}
	links := map[string]map[string][]series.Quantile{}
	var names, linkNames []string
	for _, ph := range view.Phases {
		if !slices.Contains(names, ph.Name) {
			names = append(names, ph.Name)
		}
		front[ph.Name] = ph.Spectrum
		for _, l := range ph.Links {
			if links[l.Link] == nil {
				links[l.Link] = map[string][]series.Quantile{}
				linkNames = append(linkNames, l.Link)
			}
			links[l.Link][ph.Name] = l.Spectrum
		}
	}
	add := func(id, title string, by map[string][]series.Quantile) error {
		c := spectrum(id, title, names, by)
		if c == nil {
			return nil
		}
		f, err := p.figure(c, true)
		p.Spectra = append(p.Spectra, f)
		return err
	}
	if err := add("spectrum-front", "Front: response time", front); err != nil {
		return err
	}
	for i, name := range linkNames {
		if i == d.links {
			break
		}
		if err := add("spectrum-link"+strconv.Itoa(i), "Behind: exchanges of "+nameOf(name), links[name]); err != nil {
			return err
		}
	}
	return nil
}

// phaseLooks are how the phases are told apart.
var phaseLooks = map[string]struct {
	tone chart.Tone
	dash string
}{"before": {chart.Green, "6 3"}, "during": {chart.Red, ""}, "between": {chart.Purple, "8 2 2 2"}, "after": {chart.Blue, "2 2"}}

// spectrum is one chart of distributions on a log of 1/(1−q); nil if there is
// nothing in them. The maximum, of which 1−q is 0, has no place on such an axis, and the
// minimum, which one request decides, would stretch the other.
func spectrum(id, title string, names []string, by map[string][]series.Quantile) *chart.Chart {
	c := &chart.Chart{ID: id, Title: title, Desc: "For each share of all requests the time that they kept within, on axes of " +
		"powers of ten.", X: chart.Axis{Kind: chart.Quantile, Label: "share"}, Y: chart.Axis{Kind: chart.Millis, Log: true}, Height: 240}
	place := func(q float64) (float64, bool) { return -math.Log10(1 - q), q > 0 && q < 1-1e-9 }
	seen := map[float64]bool{}
	for _, name := range names {
		for _, q := range by[name] {
			if x, ok := place(q.Q); ok && !seen[x] {
				seen[x], c.At = true, append(c.At, x)
			}
		}
	}
	if len(c.At) == 0 {
		return nil
	}
	slices.Sort(c.At)
	c.X.Max = max(1, c.At[len(c.At)-1])
	for _, name := range names {
		look, ok := phaseLooks[name]
		if !ok {
			look.tone = chart.Teal
		}
		s := chart.Series{Name: nameOf(name), Tone: look.tone, Dash: look.dash, Line: true, Y: make(chart.Values, len(c.At))}
		for i := range s.Y {
			s.Y[i] = math.NaN()
		}
		for _, q := range by[name] {
			if x, ok := place(q.Q); ok {
				i, _ := slices.BinarySearch(c.At, x)
				s.Y[i] = q.MS
			}
		}
		if len(by[name]) > 0 {
			c.Series = append(c.Series, s)
		}
	}
	return c
}
