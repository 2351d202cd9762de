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
	bar := bars.New(0, mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return title(l.now()) })),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return left(l.now()) })),
		mpb.BarBtmExtender(l.row(figuresRow), l.row(faultsRow), l.row(claimsRow)),
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
func (l *live) row(text func(chaos.Progress) string) mpb.BarFiller {
	return mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
		_, err := io.WriteString(w, runewidth.Truncate(text(l.now()), s.AvailableWidth, "...")+"\n")
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
		if _, err := io.WriteString(bars, line+"\n"); err == nil {
			return // above the bar, at its next refresh
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	io.WriteString(l.out, line+"\n")
}

// title is what stands before the bar.
func title(p chaos.Progress) string { return reports.Clean(p.Name) + "  " + p.Phase }

// left is what stands behind it: how much of the load's time has gone.
func left(p chaos.Progress) string {
	switch {
	case p.At < 0:
		return ""
	case p.At >= p.Total:
		return clock(p.Total) + ", load is over"
	default:
		return fmt.Sprintf("%s of %s, %s left", clock(p.At), clock(p.Total), clock(p.Total-p.At))
	}
}

func figuresRow(p chaos.Progress) string {
	if p.At < 0 {
		return ""
	}
	return "  " + strings.Join(figures(p), "  ")
}

func faultsRow(p chaos.Progress) string {
	if len(p.Faults) == 0 {
		return "  faults: none"
	}
	return "  faults: " + reports.Clean(strings.Join(p.Faults, ", "))
}

func claimsRow(p chaos.Progress) string {
	if len(p.Verdicts) == 0 {
		return "  claims: not judged yet"
	}
	return "  claims: " + claims(p.Verdicts)
}
