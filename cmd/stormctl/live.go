package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/reports"
)

// live is progress in place on a terminal: a bar with the phase and the time
// left, the last second's figures, the faults in force and the claims so far.
// Events scroll away above it. When a run ends its bar is removed: what came
// of it is in the summary.
type live struct {
	out     io.Writer
	options []mpb.ContainerOption // tests give them a terminal that is none

	below []func(p chaos.Progress, width int) string // further rows

	mu   sync.Mutex // guards what follows, and out between runs; never held while mpb is called, which calls back
	last chaos.Progress
	bars *mpb.Progress // nil between runs
	bar  *mpb.Bar
}

func (l *live) begin(name string) {
	l.mu.Lock()
	l.last = chaos.Progress{Name: name, Phase: "starting", At: -1}
	l.mu.Unlock()

	options := append([]mpb.ContainerOption{mpb.WithOutput(l.out), mpb.WithRefreshRate(200 * time.Millisecond)}, l.options...)
	bars := mpb.New(options...)
	// A total of 0 keeps the bar from ending by itself: only end ends it.
	rows := []mpb.BarFiller{l.row(figuresRow), l.row(faultsRow), l.row(claimsRow)}
	for _, text := range l.below {
		rows = append(rows, l.row(text))
	}
	bar := bars.New(0, mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
		mpb.PrependDecorators(decor.Any(func(s decor.Statistics) string { return title(l.now(), s.AvailableWidth) })),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return left(l.now()) })),
		mpb.BarBtmExtender(rows...),
	)
	l.mu.Lock()
	l.bars, l.bar = bars, bar
	l.mu.Unlock()
}

func (l *live) now() chaos.Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// row is a line under the bar. One that is wider than the terminal would be
// two lines there and leave a trace at each refresh.
func (l *live) row(text func(p chaos.Progress, width int) string) mpb.BarFiller {
	return mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
		_, err := io.WriteString(w, text(l.now(), s.AvailableWidth)+"\n")
		return err
	})
}

func (l *live) watch(p chaos.Progress) {
	l.mu.Lock()
	l.last = p
	bar := l.bar
	l.mu.Unlock()
	if p.Event != "" {
		l.say(line(p))
	}
	if bar != nil {
		bar.SetTotal(p.Total.Milliseconds(), false)
		bar.SetCurrent(p.At.Milliseconds()) // one before 0 is not taken, one past the total fills the bar
	}
}

func (l *live) end() {
	l.mu.Lock()
	bars, bar := l.bars, l.bar
	l.bars, l.bar = nil, nil
	l.mu.Unlock()
	if bars == nil {
		return
	}
	bar.Abort(true) // removes it
	bars.Wait()
}

func (l *live) say(line string) {
	line = reports.CleanLines(line)
	l.mu.Lock()
	bars := l.bars
	l.mu.Unlock()
	if bars != nil {
		if _, err := io.WriteString(bars, toWidth(l.out, line)+"\n"); err == nil {
			return // above the bar, at its next refresh
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	tell(l.out, line)
}

// besideName is the least that the bar's line needs beside the name of the run:
// "  steady state [>] 1m12s of 10m0s, 8m48s left".
const besideName = 46

// title is what stands before the bar in a line of that width.
func title(p chaos.Progress, width int) string {
	name, phase := reports.Clean(p.Name), reports.Clean(p.Phase)
	if runewidth.StringWidth(name) > width-besideName {
		return phase
	}
	return name + "  " + phase
}

// left is what stands behind it: how much of the load's time has gone.
func left(p chaos.Progress) string {
	gone, total := wholeSeconds(p.At), tenths(p.Total)
	switch {
	case p.At < 0:
		return ""
	case p.At >= p.Total:
		return total.String() + ", load is over"
	default:
		return fmt.Sprintf("%s of %s, %s left", gone, total, total-gone)
	}
}

func figuresRow(p chaos.Progress, width int) string {
	if p.At < 0 {
		return ""
	}
	return fitRow("  ", figures(p), "  ", width)
}

func faultsRow(p chaos.Progress, width int) string {
	if len(p.Faults) == 0 {
		return "  faults: none"
	}
	names := make([]string, len(p.Faults))
	for i, name := range p.Faults {
		names[i] = reports.Clean(name)
	}
	return fitRow("  faults: ", names, ", ", width)
}

func claimsRow(p chaos.Progress, width int) string {
	if len(p.Verdicts) == 0 {
		return "  claims: not judged yet"
	}
	return fitRow("  claims: ", claims(p.Verdicts), "  ", width)
}

// fitRow is a row of parts, at most width columns wide: what does not fit is
// counted. A part that is too wide alone is cut between its words.
func fitRow(lead string, parts []string, between string, width int) string {
	for n := len(parts); n > 0; n-- {
		row := lead + strings.Join(parts[:n], between)
		if n < len(parts) {
			row += fmt.Sprintf(" and %d more", len(parts)-n)
		}
		if runewidth.StringWidth(row) <= width {
			return row
		}
	}
	row := ""
	for _, word := range strings.Fields(parts[0]) {
		longer := strings.TrimSpace(row + " " + word)
		if runewidth.StringWidth(lead+longer+"...") > width {
			break
		}
		row = longer
	}
	return runewidth.Truncate(lead+row+"...", width, "")
}
