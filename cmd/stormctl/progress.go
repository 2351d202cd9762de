package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/reports"
)

// progress shows people how runs go on. Its methods return when it is shown,
// which a screen that takes nothing may put off for ever, and are called one at
// a time: a progressQueue does, on behalf of whoever may not wait.
type progress interface {
	begin(name string)      // a run starts; runs come one after another
	watch(p chaos.Progress) // it goes on
	end()                   // it has ended; nothing of it is on its way to the screen when end returns
	say(line string)        // something else people should know, at any time
}

// newProgress chooses how: in place on a terminal, in lines elsewhere.
func newProgress(stderr io.Writer, quiet bool, getenv func(string) string) progress {
	_, tty := terminal(stderr)
	switch {
	case quiet:
		return &lines{out: stderr, quiet: true}
	case tty && getenv("TERM") != "dumb":
		return &live{out: stderr}
	default:
		return &lines{out: stderr}
	}
}

// lines is progress for logs: a line a second, and one for each event.
type lines struct {
	quiet bool // say only
	out   io.Writer
}

func (l *lines) begin(name string) {
	if !l.quiet {
		l.say("run " + reports.Clean(name))
	}
}

func (l *lines) watch(p chaos.Progress) {
	if !l.quiet {
		l.say(line(p))
	}
}

func (l *lines) end() {}

func (l *lines) say(line string) {
	tell(l.out, line) // if nobody reads it, the run goes on all the same
}

// line is one piece of progress in words and figures:
//
//	12s chaos  500/s (500)  ok 61.20%  p50 1.2ms p99 9.0ms  lag 0.10ms  faults: errors 503 on payments
//
// the offered rate, in parentheses the one achieved, how much of what ended
// was ok, response times, the harness's own lag, what is in force.
func line(p chaos.Progress) string {
	if p.Event != "" {
		return strings.TrimSpace(moment(p.At)+" "+reports.Clean(p.Phase)) + ": " + reports.Clean(p.Event)
	}
	text := strings.TrimSpace(clock(p.At)+" "+reports.Clean(p.Phase)) + "  " + strings.Join(figures(p), "  ")
	if len(p.Faults) > 0 {
		text += "  faults: " + reports.Clean(strings.Join(p.Faults[:min(len(p.Faults), faultsInLine)], ", "))
		if more := len(p.Faults) - faultsInLine; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
	}
	if len(p.Verdicts) > 0 {
		text += "  claims: " + strings.Join(claims(p.Verdicts), "  ")
	}
	return text
}

// faultsInLine is how many of the faults in force a line of progress names.
const faultsInLine = 5

// figures are those of the last second, in groups.
func figures(p chaos.Progress) []string {
	rate := fmt.Sprintf("%s (%s)", reports.PerSecond(p.Offered), strings.TrimSuffix(reports.PerSecond(p.Achieved), "/s"))
	lag := "lag " + reports.Millis(unit.Millis(p.LagP99))
	if p.Success == 0 && p.P99 == 0 { // a response that came took some time
		return []string{rate, "nothing ended", lag}
	}
	return []string{
		rate,
		"ok " + reports.Percent(p.Success*100),
		percentiles(p),
		lag,
	}
}

func percentiles(p chaos.Progress) string {
	text := fmt.Sprintf("p50 %s p99 %s", reports.Millis(unit.Millis(p.P50)), reports.Millis(unit.Millis(p.P99)))
	if p.P999 > 0 {
		text += " p99.9 " + reports.Millis(unit.Millis(p.P999))
	}
	return text
}

// moment is a time since the start of the load as the timeline of an experiment
// is written, to the tenth of a second; "" before the start.
func moment(at time.Duration) string {
	if at < 0 {
		return ""
	}
	return tenths(at).String()
}

// clock is the time since the start of the load, in whole seconds; "" before.
func clock(at time.Duration) string {
	if at < 0 {
		return ""
	}
	return wholeSeconds(at).String()
}

func tenths(at time.Duration) time.Duration { return at.Round(100 * time.Millisecond) }

// wholeSeconds are those that have gone. What a clock is early by at the turn of
// one does not count.
func wholeSeconds(at time.Duration) time.Duration { return tenths(at).Truncate(time.Second) }

// claims are the rulings so far, a mark and a word each.
func claims(verdicts []judge.Verdict) []string {
	parts := make([]string, len(verdicts))
	for i, v := range verdicts {
		parts[i] = reports.Mark(v.Ruling) + " " + v.Kind
	}
	return parts
}
