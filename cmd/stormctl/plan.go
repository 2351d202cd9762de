package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/unit"
)

// writePlan prints what a run of x would do, in the order in which it would
// happen: what is started, what is called, what is broken when, what is
// claimed, and what would end it. Only x is looked at: nothing is started,
// resolved or called. Addresses that a run would choose are told as such.
func writePlan(w io.Writer, file string, x *experiment.Experiment) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s (%s): a dry run, nothing is started\n", x.Name, file)
	if x.About != "" {
		fmt.Fprintln(&out, strings.TrimSpace(x.About))
	}
	if x.Seed == 0 {
		fmt.Fprintln(&out, "The seed is drawn when it starts.")
	} else {
		fmt.Fprintf(&out, "Seed %d.\n", x.Seed)
	}
	planSection(&out, "Targets", targetRows(x))
	planSection(&out, "Links", linkRows(x))
	planSection(&out, "Load", loadRows(x.Load))
	planSection(&out, "Timeline", timelineRows(x))
	planSection(&out, "Claims", claimRows(x))
	planSection(&out, "Limits", limitRows(x.Limits))
	_, err := w.Write(out.Bytes())
	return err
}

// planSection prints rows of cells in columns under a title; none at all are
// told as "none".
func planSection(out *bytes.Buffer, title string, rows [][]string) {
	fmt.Fprintf(out, "\n%s\n", title)
	if len(rows) == 0 {
		rows = [][]string{{"none"}}
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(columns, "  %s\n", strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	columns.Flush() // into memory: it cannot fail
}

func targetRows(x *experiment.Experiment) (rows [][]string) {
	for _, name := range slices.Sorted(maps.Keys(x.Targets)) {
		t := x.Targets[name]
		switch {
		case t.URL != "":
			rows = append(rows, []string{name, "runs already", t.URL})
		case t.Process != nil:
			p := t.Process
			rows = append(rows, []string{name, "process", strings.Join(p.Command, " ")})
			rows = append(rows, []string{"", "", fmt.Sprintf("listens on %s, ready by %s within %v", or(p.Listen, "a free port"), or(p.Ready, "tcp"), p.ReadyWithin)})
		default:
			rows = append(rows, []string{name, "reference " + t.Reference, assignments(t.With)})
		}
	}
	return rows
}

func linkRows(x *experiment.Experiment) (rows [][]string) {
	for _, name := range slices.Sorted(maps.Keys(x.Links)) {
		l := x.Links[name]
		rows = append(rows, []string{name, l.From + " > " + l.To, "listens on " + or(l.Listen, "a free port")})
	}
	return rows
}

func loadRows(l experiment.Load) (rows [][]string) {
	if len(l.Stages) == 0 {
		rows = append(rows, []string{fmt.Sprintf("%s for %v, %s arrivals", unit.FormatRate(l.Rate), l.Duration, l.Arrivals)})
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
	rows = append(rows, []string{fmt.Sprintf("%v in all, at most %d connections per address", l.Length(), l.Connections)})

	if l.Warmup > 0 {
		rows = append(rows, []string{fmt.Sprintf("before it a warm-up of %v, kept out of all results; times count from its end", l.Warmup)})
	}
	var weights float64
	for _, r := range l.Routes {
		weights += r.Weight
	}
	for _, r := range l.Routes {
		method, path := r.Request()
		timeout := r.Timeout
		if timeout == 0 {
			timeout = l.Timeout
		}
		rows = append(rows, []string{"route " + r.Name, method + " " + path, "to " + r.To,
			strconv.FormatFloat(100*r.Weight/weights, 'f', -1, 64) + "% of the arrivals", fmt.Sprintf("timeout %v", timeout)})
	}
	return rows
}

// timelineRows are the events by time, not by their place in the file.
func timelineRows(x *experiment.Experiment) (rows [][]string) {
	events := slices.Clone(x.Chaos)
	slices.SortStableFunc(events, func(a, b experiment.Event) int { return cmp.Compare(a.At, b.At) })
	for _, e := range events {
		until := fmt.Sprintf("to %v", e.At+e.For)
		if e.Restart != nil {
			until = "until ready"
		}
		rows = append(rows, []string{e.At.String(), until, e.On, faultText(e)})
	}
	return rows
}

// faultText is what an event injects, with its figures.
func faultText(e experiment.Event) string {
	text := e.Kind()
	if t := e.Toxic(); t != nil {
		text = t.String()
	} else if e.Restart != nil && e.Restart.Downtime > 0 {
		text = fmt.Sprintf("restart after %v", e.Restart.Downtime)
	}
	if e.Name != "" {
		text = e.Name + ": " + text
	}
	return text
}

func claimRows(x *experiment.Experiment) (rows [][]string) {
	for _, c := range x.Claims {
		rows = append(rows, []string{c.Kind(), c.Judge().String()})
	}
	return rows
}

func limitRows(l experiment.Limits) (rows [][]string) {
	rows = append(rows, []string{"touches only", strings.Join(l.Allow, ", ")})
	for _, s := range l.StopIf {
		route := "all routes together"
		if s.Route != "" {
			route = "route " + s.Route
		}
		rows = append(rows, []string{"stops if", fmt.Sprintf("success of %s is below %v for %v", route, s.SuccessBelow, max(s.For, time.Second))})
	}
	return rows
}

func assignments(with map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(with)) {
		parts = append(parts, key+"="+with[key])
	}
	return strings.Join(parts, ", ")
}

func or(text, absent string) string {
	if text == "" {
		return absent
	}
	return text
}
