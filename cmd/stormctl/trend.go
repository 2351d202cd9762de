package main

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/reports"
)

// trendColumns is how many columns a trend has at most.
const trendColumns = 60

// trend is the course of a run from its beginning, in few enough columns to be drawn in
// a line: when they are full, each two become one. Its methods may be called at once.
type trend struct {
	mu      sync.Mutex
	each    int // seconds that a column is of; 0 is one
	columns []trendColumn
}

// trendColumn is some seconds merged. Rates are on average, and the p99 is the highest
// of them: percentiles are not averaged.
type trendColumn struct {
	seconds       int
	ended, failed float64       // sums of what there was per second
	p99           time.Duration // 0 where nothing ended
}

func (c trendColumn) with(d trendColumn) trendColumn {
	return trendColumn{c.seconds + d.seconds, c.ended + d.ended, c.failed + d.failed, max(c.p99, d.p99)}
}

// add takes the next second; what is no second of the load is left out.
func (t *trend) add(p chaos.Progress) {
	if p.Event != "" || p.At <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.each = max(t.each, 1)
	second := trendColumn{1, p.Achieved, p.Achieved * (1 - p.Success), p.P99}
	if n := len(t.columns); n > 0 && t.columns[n-1].seconds < t.each {
		t.columns[n-1] = t.columns[n-1].with(second)
		return
	}
	if len(t.columns) == trendColumns {
		t.each *= 2
		t.columns = merged(t.columns, 2)
	}
	t.columns = append(t.columns, second)
}

// merged are columns with each n made into one.
func merged(columns []trendColumn, n int) (fewer []trendColumn) {
	for i, c := range columns {
		if i%n == 0 {
			fewer = append(fewer, trendColumn{})
		}
		fewer[len(fewer)-1] = fewer[len(fewer)-1].with(c)
	}
	return fewer
}

// trendRow is one figure of a trend.
type trendRow struct {
	name string
	of   func(trendColumn) float64 // NaN where there is none
	unit func(float64) string
}

var trendRows = []trendRow{
	{"rate", func(c trendColumn) float64 { return c.ended / float64(c.seconds) }, reports.PerSecond},
	{"not ok", func(c trendColumn) float64 { return c.failed / float64(c.seconds) }, reports.PerSecond},
	{"p99", func(c trendColumn) float64 {
		if c.p99 == 0 {
			return math.NaN()
		}
		return float64(unit.Millis(c.p99))
	}, reports.Millis},
}

// row draws one of trendRows, at most width columns wide:
//
//	rate    ▅▅▅▇▅▂▂▅  up to 500/s
//
// It is "" before there is anything to draw, and where there is no room.
func (t *trend) row(r trendRow, width int) string {
	t.mu.Lock()
	columns := t.columns
	t.mu.Unlock()
	most := math.NaN()
	for _, c := range columns {
		if v := r.of(c); !(v <= most) && !math.IsNaN(v) {
			most = v
		}
	}
	if math.IsNaN(most) {
		return ""
	}
	lead, behind := fmt.Sprintf("  %-6s  ", r.name), "  up to "+r.unit(most)
	room := width - runewidth.StringWidth(lead) - runewidth.StringWidth(behind)
	if room < 1 {
		return ""
	}
	columns = merged(columns, (len(columns)+room-1)/room)
	values := make([]float64, len(columns))
	for i, c := range columns {
		values[i] = r.of(c)
	}
	return lead + reports.Sparkline(values) + behind
}
