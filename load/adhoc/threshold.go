package adhoc

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/reports"
)

// Threshold is a bound of `load --fail-if`: what must not be, such as
// "p99>50ms".
type Threshold struct {
	text   string
	metric metric
	above  bool // fails above bound, otherwise below it
	bound  float64
}

// metric is a figure of a load that can be bounded.
type metric struct {
	of      func(*reports.Load) float64
	parse   func(string) (float64, error)
	format  func(float64) string
	latency bool                        // a harness that was not well may have caused it
	ofSent  bool                        // there is none if nothing was sent
	atBest  func(*reports.Load) float64 // the figure without what such a harness may have caused; nil is the same
}

// successOfSent leaves out what was never sent.
func successOfSent(l *reports.Load) float64 {
	return l.Success * float64(l.Due) / max(1, float64(l.Requests))
}

var loadMetrics = map[string]metric{
	"p50":   latencyMetric(func(l *reports.Load) float64 { return l.Response.P50 }),
	"p90":   latencyMetric(func(l *reports.Load) float64 { return l.Response.P90 }),
	"p99":   latencyMetric(func(l *reports.Load) float64 { return l.Response.P99 }),
	"p99.9": latencyMetric(func(l *reports.Load) float64 { return l.Response.P999 }),
	"max":   latencyMetric(func(l *reports.Load) float64 { return l.Response.Max }),
	"success": {of: func(l *reports.Load) float64 { return l.Success }, parse: parsePercent, format: reports.Percent,
		atBest: successOfSent}, "rate": {of: func(l *reports.Load) float64 { return l.Rate }, parse: parsePerSecond,
		format: reports.PerSecond, latency: true},
	"unsent": {of: func(l *reports.Load) float64 { return float64(l.Unsent) }, parse: parseNumber, format: formatNumber, latency: true},
}

func latencyMetric(of func(*reports.Load) float64) metric {
	return metric{of: of, parse: parseMillis, format: reports.Millis, latency: true, ofSent: true}
}

// MetricNames are the figures that can be bounded, for people.
const MetricNames = "p50, p90, p99, p99.9, max, success, rate, unsent"

// ParseThreshold reads METRIC>BOUND or METRIC<BOUND.
func ParseThreshold(text string) (Threshold, error) {
	at := strings.IndexAny(text, "<>")
	if at < 0 {
		return Threshold{}, fmt.Errorf("%q: write what must not be, like p99>50ms or success<99.9%%", text)
	}
	t := Threshold{above: text[at] == '>'}
	name := strings.TrimSpace(text[:at])
	m, known := loadMetrics[name]
	if !known {
		return Threshold{}, fmt.Errorf("%q: there is no figure %q; there are %s", text, name, MetricNames)
	}
	var err error
	if t.bound, err = m.parse(strings.TrimSpace(text[at+1:])); err != nil {
		return Threshold{}, fmt.Errorf("%q: %w", text, err)
	}
	t.metric = m
	t.text = name + " " + text[at:at+1] + " " + m.format(t.bound)
	return t, nil
}

// judge holds a load against the bound. A harness that was not well makes
// figures worse, never better: what passes all the same has passed, unless nothing
// was sent at all.
func (t Threshold) judge(l *reports.Load) reports.Threshold {
	v := t.metric.of(l)
	failed := t.failed(v)
	open := failed && !l.Harness.Healthy && (t.metric.latency || t.metric.atBest != nil && !t.failed(t.metric.atBest(l)))
	open = open || !failed && t.metric.ofSent && l.Requests == 0
	return reports.Threshold{Text: t.text, Value: t.metric.format(v), Failed: failed && !open, Open: open}
}

func (t Threshold) failed(v float64) bool {
	if t.above {
		return v > t.bound
	}
	return v < t.bound
}

func parseMillis(text string) (float64, error) {
	d, err := unit.ParseDuration(text)
	return unit.Millis(d), err
}

func parsePercent(text string) (float64, error) {
	s, err := unit.ParseShare(text)
	return float64(s) * 100, err
}

func parsePerSecond(text string) (float64, error) {
	r, err := unit.ParseRate(text)
	return float64(r), err
}

func parseNumber(text string) (v float64, err error) {
	if v, err = strconv.ParseFloat(text, 64); err != nil || !(v >= 0 && v < 1e18) { // NaN is neither
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return v, nil
}

func formatNumber(v float64) string { return reports.Count(uint64(v)) }
