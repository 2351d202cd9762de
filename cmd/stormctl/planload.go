package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/reports"
)

// loadLength is how long the load is.
func loadLength(l experiment.Load, in *experiment.Inputs) time.Duration {
	if n := len(in.Times); n > 0 {
		return in.Times[n-1]
	}
	return l.Length()
}

// loadRows are the schedule, how it is sent, and the routes with their steps.
func loadRows(l experiment.Load, in *experiment.Inputs) (rows [][]string) {
	rows = append(rows, scheduleRows(l, in)...)
	rows = append(rows, []string{fmt.Sprintf("%v in all, at most %d connections per address", loadLength(l, in), l.Connections)})
	if l.Warmup > 0 {
		rows = append(rows, []string{fmt.Sprintf("before it a warm-up of %v, kept out of all results; times count from its end", l.Warmup)})
	}
	for _, text := range []string{stallText(l), connectionText(l)} {
		if text != "" {
			rows = append(rows, []string{text})
		}
	}
	if in.Data != nil {
		rows = append(rows, []string{fmt.Sprintf("data of %s: %s rows of %s",
			l.Data, reports.Count(uint64(in.Data.Rows())), strings.Join(in.Data.Names, ", "))})
	}
	if len(l.From) > 0 {
		rows = append(rows, []string{unit.List(l.Regions(), ", ",
			func(region string) string { return fmt.Sprintf("%s of them from %s", l.From[region], region) })})
	}
	var weights float64
	for _, r := range l.Routes {
		weights += r.Weight
	}
	for _, r := range l.Routes {
		share := strconv.FormatFloat(100*r.Weight/weights, 'g', 4, 64) + "% of the arrivals"
		if l.InTurn {
			share = "in turn"
		}
		rows = append(rows, requestRow("route "+r.Name, "to "+r.To.String(), share, r.Request, l.Timeout))
		for _, s := range r.Then {
			due := "due with the route"
			if s.After > 0 {
				due = fmt.Sprintf("due %v after the one before", s.After)
			}
			rows = append(rows, requestRow("  then "+s.Name, "to "+r.To.String(), due, s.Request, l.Timeout))
		}
	}
	return rows
}

func requestRow(name, to, when string, r experiment.Request, timeout time.Duration) []string {
	method, path := r.Line()
	if r.Timeout > 0 {
		timeout = r.Timeout
	}
	return []string{name, method + " " + path, to, when, fmt.Sprintf("timeout %v", timeout)}
}

// scheduleRows tell when requests are due.
func scheduleRows(l experiment.Load, in *experiment.Inputs) (rows [][]string) {
	one := func(format string, args ...any) [][]string { return [][]string{{fmt.Sprintf(format, args...)}} }
	switch {
	case l.Replay != "":
		return one("the %s arrivals of %s", reports.Count(uint64(len(in.Times))), l.Replay)
	case l.Spike != nil:
		s := l.Spike
		return one("%s, but %s from %v to %v, for %v, %s arrivals",
			unit.FormatRate(s.From), unit.FormatRate(s.To), s.At, s.At+s.For, l.Duration, l.Arrivals)
	case l.Sine != nil:
		s := l.Sine
		return one("%s to %s and back every %v, for %v, %s arrivals",
			unit.FormatRate(s.Mean-s.Amplitude), unit.FormatRate(s.Mean+s.Amplitude), s.Period, l.Duration, l.Arrivals)
	case len(l.Stages) == 0:
		return one("%s for %v, %s arrivals", unit.FormatRate(l.Rate), l.Duration, l.Arrivals)
	}
	for i, s := range l.Stages {
		var what []string
		if s.To != nil {
			what = append(what, fmt.Sprintf("to %s over %v", unit.FormatRate(*s.To), s.Over))
		}
		if s.Hold > 0 {
			what = append(what, fmt.Sprintf("hold %v", s.Hold))
		}
		rows = append(rows, []string{fmt.Sprintf("stage %d: %s, %s arrivals", i+1, strings.Join(what, ", "), l.Arrivals)})
	}
	return rows
}

// stallText is what becomes of arrivals when no connection is free; "" if it is
// the usual.
func stallText(l experiment.Load) string {
	switch l.WhenStalled {
	case experiment.Skip:
		return "when none of them is free, arrivals are not sent and count as unsent"
	case experiment.Burst:
		return fmt.Sprintf("when none of them is free, %d arrivals wait; others are not sent and count as unsent", l.Burst)
	default:
		return ""
	}
}

// connectionText is how connections are used, where the experiment says so.
func connectionText(l experiment.Load) string {
	var parts []string
	add := func(given bool, format string, arg any) {
		if given {
			parts = append(parts, fmt.Sprintf(format, arg))
		}
	}
	add(l.Pipeline > 0, "%d requests pipelined", l.Pipeline)
	add(l.Streams > 0, "%d streams on each", l.Streams)
	add(l.RequestsPerConnection > 0, "closed after %d requests", l.RequestsPerConnection)
	add(l.ConnectionLifetime > 0, "closed at about %v", l.ConnectionLifetime)
	add(l.NewConnections > 0, "at most %s new ones", unit.FormatRate(l.NewConnections))
	add(l.Batch > 0, "sent in batches of %v", l.Batch)
	add(l.Loops > 0, "%d event loops", l.Loops)
	add(l.Poller != "", "by %s", l.Poller)
	add(l.Grace > 0, "%v to finish", l.Grace)
	if parts == nil {
		return ""
	}
	return "connections: " + strings.Join(parts, ", ")
}
