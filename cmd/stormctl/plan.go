//go:build unix

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/host"
	"github.com/stormctl/stormctl/chaos/testbed"
	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/reports"
)

// writePlan prints what a run of x would do, in the order in which it would
// happen: what is started, what is called, what is broken when, what that
// touches and how it is undone, what is claimed, what of that cannot be decided,
// and what would end it. Addresses
// that a run would choose are told as such.
func writePlan(w io.Writer, file string, x *experiment.Experiment, look testbed.Preflight, weak []experiment.Weakness) error {
	in, err := x.ReadInputs()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s (%s): a dry run, nothing is started\n", reports.Clean(x.Name), reports.Clean(file))
	if x.About != "" {
		fmt.Fprintln(&out, reports.CleanLines(strings.TrimSpace(x.About)))
	}
	if x.Seed == 0 {
		fmt.Fprintln(&out, "The seed is drawn when it starts, and told in the summary: --seed N repeats it.")
	} else {
		fmt.Fprintf(&out, "Seed %d.\n", x.Seed)
	}
	planSection(&out, "Targets", targetRows(x, look.Addresses))
	planSection(&out, "Links", linkRows(x))
	planSection(&out, "Load", loadRows(x.Load, in))
	if chapter, is := x.InChapters(loadLength(x.Load, in)); is {
		planSection(&out, "Chapters", [][]string{{fmt.Sprintf("each is %v long, and judged by itself while the run goes on", chapter)}})
	}
	planSection(&out, "Timeline", timelineRows(x))
	if rows := touchRows(x, look.Plans); len(rows) > 0 {
		planSection(&out, "Touches outside stormctl", rows)
	}
	planSection(&out, "Claims", claimRows(x))
	if len(weak) > 0 {
		planSection(&out, "Power: what this plan cannot decide", weakRows(weak))
	}
	planSection(&out, "Limits", limitRows(x.Limits))
	if len(look.Refusals) > 0 {
		planSection(&out, "Could not run", refusalRows(look.Refusals))
	}
	_, err = io.WriteString(w, toWidth(w, out.String()))
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
		fmt.Fprintf(columns, "  %s\n", strings.TrimRight(unit.List(row, "\t", reports.Clean), "\t"))
	}
	columns.Flush() // into memory: it cannot fail
}

func targetRows(x *experiment.Experiment, addresses map[string][]string) (rows [][]string) {
	for _, name := range slices.Sorted(maps.Keys(x.Targets)) {
		t := x.Targets[name]
		switch {
		case t.URL != "":
			rows = append(rows, []string{name, "runs already", t.URL})
			switch addrs := addresses[name]; {
			case len(addrs) > 1:
				rows = append(rows, []string{"", "", "which is the first that answers of " + strings.Join(addrs, ", ")})
			case len(addrs) == 1 && !strings.HasSuffix(t.URL, "//"+addrs[0]):
				rows = append(rows, []string{"", "", "which is " + addrs[0] + " now"})
			}
			if t.PidFile != "" {
				rows = append(rows, []string{"", "", "its process is in " + t.PidFile})
			}
		case t.Process != nil:
			p := t.Process
			port := "a free port"
			if p.Host != "" {
				port = "an address of its own, in a network namespace that is made for it"
			}
			listens := fmt.Sprintf("listens on %s, ready by %s within %v", cmp.Or(p.Listen, port), p.Ready, p.ReadyWithin)
			if p.User != "" {
				listens = "as user " + p.User + ", " + listens
			}
			rows = append(rows, []string{name, "process", strings.Join(p.Command, " ")}, []string{"", "", listens})
		default:
			rows = append(rows, []string{name, "reference " + t.Reference, assignments(t.With)})
		}
		if t.Secure() {
			rows = append(rows, []string{"", "", tlsText(t.TLS)})
		}
		if t.Protocol == load.Auto {
			rows = append(rows, []string{"", "", "speaks h2 or http1, whichever it chooses when the run begins"})
		}
	}
	return rows
}

// tlsText is how routes reach a target by TLS.
func tlsText(t *experiment.TLS) string {
	if t == nil {
		t = &experiment.TLS{}
	}
	text := "reached by TLS, trusting " + cmp.Or(t.CA, "the system's authorities")
	if t.Insecure {
		text = "reached by TLS, taking any certificate"
	}
	if t.ServerName != "" {
		text += ", as " + t.ServerName
	}
	if t.Cert != "" {
		text += ", with the certificate " + t.Cert
	}
	return text
}

func linkRows(x *experiment.Experiment) (rows [][]string) {
	for _, name := range slices.Sorted(maps.Keys(x.Links)) {
		l := x.Links[name]
		rows = append(rows, []string{name, l.From + " > " + l.To, "listens on " + cmp.Or(l.Listen, "a free port")})
	}
	return rows
}

// timelineRows are the events by time, not by their place in the file.
func timelineRows(x *experiment.Experiment) (rows [][]string) {
	events := slices.Clone(x.Chaos)
	slices.SortStableFunc(events, func(a, b experiment.Event) int { return cmp.Compare(a.At, b.At) })
	for _, e := range events {
		until := fmt.Sprintf("to %v", e.At+e.For)
		switch {
		case e.Restart != nil:
			until = "until ready"
		case e.Kill != nil && e.Kill.ForGood:
			until = "to the end"
		}
		if e.Every > 0 {
			until += fmt.Sprintf(", every %v", e.Every)
		}
		rows = append(rows, []string{e.At.String(), until, e.Where(), faultText(e)})
	}
	return rows
}

// touchRows are the faults that happen outside our process, by their place in
// the file.
func touchRows(x *experiment.Experiment, plans map[int]host.Plan) (rows [][]string) {
	for i, e := range x.Chaos {
		p, outside := plans[i]
		if !outside {
			continue
		}
		rows = append(rows, []string{e.At.String(), e.String(), p.Touches}, []string{"", "", "undo: " + p.Undo})
	}
	return rows
}

func refusalRows(refusals []error) (rows [][]string) {
	for _, err := range refusals {
		for line := range strings.Lines(err.Error()) {
			rows = append(rows, []string{strings.TrimSpace(line)})
		}
	}
	return rows
}

// faultText is what an event injects, with its figures.
func faultText(e experiment.Event) string {
	text := e.What()
	if e.Restart != nil && e.Restart.Downtime > 0 {
		text = fmt.Sprintf("restart after %v", e.Restart.Downtime)
	}
	if e.Restart != nil && len(e.Restart.Others) > 0 {
		how := "at once with "
		if e.Restart.Rolling {
			how = "then "
		}
		text += ", " + how + strings.Join(e.Restart.Others, ", ")
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

// weakRows are the parts of claims that the plan cannot decide: why, and below
// it what would settle it.
func weakRows(weak []experiment.Weakness) (rows [][]string) {
	for _, w := range weak {
		turn := w.Turn
		if w.Key != "" {
			turn += " (" + w.Key + ")"
		}
		rows = append(rows, []string{w.Path, w.Why}, []string{"", turn})
	}
	return rows
}

func limitRows(l experiment.Limits) (rows [][]string) {
	rows = append(rows, []string{"touches only", strings.Join(l.Allow, ", ")})
	if len(l.Processes) > 0 {
		rows = append(rows, []string{"", "processes of " + strings.Join(l.Processes, ", ")})
	}
	if len(l.Netns) > 0 {
		rows = append(rows, []string{"", "network namespaces " + strings.Join(l.Netns, ", ")})
	}
	if l.StopFile != "" {
		rows = append(rows, []string{"stops if", l.StopFile + " is there"})
	}
	for _, s := range l.StopIf {
		rows = append(rows, []string{"stops if", fmt.Sprintf("%s for %v", s, max(s.For, time.Second))})
	}
	return rows
}

func assignments(with map[string]string) string {
	return unit.List(slices.Sorted(maps.Keys(with)), ", ", func(key string) string { return key + "=" + with[key] })
}
