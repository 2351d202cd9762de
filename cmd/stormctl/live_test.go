package main

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/judge"
)

// screen is a terminal that keeps all that was ever written to it.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// refreshed is a live view that is drawn when refresh returns, not by a clock.
func refreshed(out *screen) (l *live, refresh func()) {
	return refreshedAt(out, 120)
}

func refreshedAt(out *screen, width int) (l *live, refresh func()) {
	ticks := make(chan any)
	l = &live{out: out, options: []mpb.ContainerOption{mpb.WithManualRefresh(ticks), mpb.WithWidth(width)}}
	return l, func() {
		// The listener takes a tick while the one before is being drawn, but
		// not the one after it: with the third taken, the first is drawn.
		for range 3 {
			ticks <- time.Now()
		}
	}
}

func TestLiveShowsWhatGoesOn(t *testing.T) {
	out := &screen{}
	l, refresh := refreshed(out)
	l.begin("checkout-breaker")
	l.watch(with(func(p *chaos.Progress) {
		p.Verdicts = []judge.Verdict{{Kind: "steady"}, {Kind: "breaker", Ruling: judge.Inconclusive}}
	}))
	refresh()
	drawn := out.String()
	for _, want := range []string{
		"checkout-breaker  chaos [", "] 12s of 30s, 18s left",
		"  500/s (500)  ok 61.20%  p50 1.2ms p99 9.0ms  lag 0.10ms",
		"  faults: errors 503 on payments",
		"  claims: ✓ steady  ? breaker",
	} {
		if !strings.Contains(drawn, want) {
			t.Errorf("no %q in\n%s", want, drawn)
		}
	}
	l.watch(with(func(p *chaos.Progress) { p.Event = "healed errors 503 on payments" }))
	refresh()
	if got, want := out.String(), "12s chaos: healed errors 503 on payments\n"; !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
	l.end()
	after := len(out.String())
	l.say("the end")
	if got := out.String()[after:]; got != "the end\n" {
		t.Errorf("after the end it wrote %q", got)
	}
}

// The bar must be as far as the load is: a quarter, then all of it, whatever
// time the load has taken beyond its length.
func TestLiveBarFollowsTheLoad(t *testing.T) {
	for at, want := range map[time.Duration]float64{
		-time.Second: 0, 0: 0, 15 * time.Second: 0.5, 30 * time.Second: 1, 40 * time.Second: 1,
	} {
		out := &screen{}
		l, refresh := refreshed(out)
		l.begin("x")
		l.watch(chaos.Progress{Name: "x", Phase: "chaos", At: at, Total: 30 * time.Second})
		refresh()
		bar := regexp.MustCompile(`\[([=> ]*)\]`).FindStringSubmatch(out.String())
		l.end()
		if bar == nil {
			t.Fatalf("at %v: no bar in %q", at, out.String())
		}
		done := float64(len(strings.TrimRight(bar[1], " "))) / float64(len(bar[1]))
		if done < want-0.02 || done > want+0.02 {
			t.Errorf("at %v the bar is %.0f%% full, want %.0f%%: %s", at, 100*done, 100*want, bar[0])
		}
	}
}

// Several runs come one after another, each with a view of its own; an end
// without a begin, or a second one, is nothing.
func TestLiveBeginsAgain(t *testing.T) {
	out := &screen{}
	l := &live{out: out, options: []mpb.ContainerOption{mpb.WithWidth(100)}}
	l.end()
	for range 2 {
		l.begin("x")
		l.watch(midChaos)
		l.end()
		l.end()
	}
}

func TestLeft(t *testing.T) {
	const total = 90 * time.Second
	for at, want := range map[time.Duration]string{
		-1:                      "",
		0:                       "0s of 1m30s, 1m30s left",
		30*time.Second + 999999: "30s of 1m30s, 1m0s left",
		5*time.Second - 1:       "5s of 1m30s, 1m25s left", // a tick that is early by nothing
		5900 * time.Millisecond: "5s of 1m30s, 1m25s left", // both or neither round
		total:                   "1m30s, load is over",
		total + time.Second:     "1m30s, load is over",
	} {
		if got := left(chaos.Progress{At: at, Total: total}); got != want {
			t.Errorf("at %v: %q, want %q", at, got, want)
		}
	}
}

// A row that is wider than the terminal would leave a trace at every refresh.
func TestLiveRowsFitTheTerminal(t *testing.T) {
	out := &screen{}
	l, refresh := refreshedAt(out, 40)
	l.begin("x")
	l.watch(with(func(p *chaos.Progress) { p.Faults = []string{strings.Repeat("✓ fault ", 30)} }))
	refresh()
	l.end()
	for row := range strings.Lines(out.String()) {
		if row = strings.TrimRight(row, "\n"); len([]rune(row)) > 40 {
			t.Errorf("a row of %d characters: %q", len([]rune(row)), row)
		}
	}
	// 10 columns of the lead and 27 of the words: another word would be the 43rd.
	if want := "  faults: ✓ fault ✓ fault ✓ fault ✓...\n"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out.String())
	}
}

func TestFitRow(t *testing.T) {
	parts := []string{"500/s (500)", "ok 61.20%", "lag 0.10ms"}
	for width, want := range map[int]string{
		36: "  500/s (500)  ok 61.20%  lag 0.10ms", // 2+11+2+9+2+10 columns
		35: "  500/s (500)  ok 61.20% and 1 more",
		34: "  500/s (500) and 2 more",
		23: "  500/s (500)...",
		10: "  500/s...",
		3:  "  .",
	} {
		if got := fitRow("  ", parts, "  ", width); got != want {
			t.Errorf("width %d: %q, want %q", width, got, want)
		}
	}
	if got, want := fitRow("  ", []string{"支付 支付"}, " ", 10), "  支付..."; got != want { // two columns for each rune
		t.Errorf("%q, want %q", got, want)
	}
}
