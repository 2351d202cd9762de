package reports

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/chaos/series"
	"github.com/stormctl/stormctl/load"
)

// How large Markdown may be, in bytes: GitHub drops all of a step's summary that
// is larger than a mebibyte, and takes no comment of more than 65,536 characters,
// of which there are never more than bytes.
const (
	SummaryLimit = 1 << 20
	CommentLimit = 1 << 16
)

// leastMarkdown is what the parts that are never left out take at most: the verdict,
// and that something was left out.
const leastMarkdown = 4096

// longest is how many characters of one foreign text are shown.
const longest = 1000

// Markdown writes the result for pull requests and summaries of jobs, as GitHub and
// GitLab render it, in at most limit bytes: the verdict, what weakens it, a line
// for each claim with what did not hold first, the course of the run, and folded
// the rest. Where that is too much, what comes last is left out, which is said. A
// limit below 4 KiB counts as that.
//
// All text of others is escaped: it is shown as it is, and neither marks up,
// calls anybody by @ nor refers to an issue by #.
func Markdown(w io.Writer, r *result.Result, limit int) error {
	m := markdown{limit: max(limit, leastMarkdown) - len(leftOut)}
	m.verdict(r)
	m.claims(r)
	m.course(r.Series)
	m.parts(r)
	m.figures(r)
	if m.full {
		m.out.WriteString(leftOut)
	}
	_, err := w.Write(m.out.Bytes())
	return err
}

const leftOut = "\nThere is more than fits here: all of it is in `result.json` of the run directory.\n"

// markdown is a text being written.
type markdown struct {
	out   bytes.Buffer
	limit int
	full  bool // something was left out; nothing follows
}

// add writes text, whole or not at all.
func (m *markdown) add(text string) bool {
	if m.full || m.out.Len()+len(text) > m.limit {
		m.full = true
		return false
	}
	m.out.WriteString(text)
	return true
}

// table writes a table of cells that are Markdown already, with as many rows as
// fit.
func (m *markdown) table(titles []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	head := "\n| " + strings.Join(titles, " | ") + " |\n|" + strings.Repeat(" --- |", len(titles)) + "\n"
	for _, row := range rows {
		if !m.add(head + "| " + strings.Join(row, " | ") + " |\n") {
			return
		}
		head = ""
	}
}

// fold writes what write does behind a line that opens it. What does not fit is
// left out within.
func (m *markdown) fold(title string, write func()) {
	const end = "\n</details>\n"
	if !m.add("\n<details>\n<summary>" + title + "</summary>\n") {
		return
	}
	m.limit -= len(end) // always room for it
	write()
	m.limit += len(end)
	m.out.WriteString(end)
}

// verdict is the ruling over all, and what weakens it.
func (m *markdown) verdict(r *result.Result) {
	ruling := r.Ruling
	if len(r.Verdicts) == 0 {
		ruling = max(ruling, judge.Inconclusive) // as in summary.ruling
	}
	var requests uint64
	for _, route := range r.Routes {
		requests += route.Requests
	}
	m.out.WriteString("### " + Mark(ruling) + " " + strings.ToUpper(ruling.String()) + ": " + markdownShort(r.Name, 100) + "\n\n")
	text := tally(r.Verdicts, ruling) + ". Started " + startTime(r.Started) + ", " + Seconds(r.Seconds) + ", " + number(requests, "request")
	if r.Seed != 0 {
		text += ", seed " + strconv.FormatUint(r.Seed, 10)
	}
	m.out.WriteString(text + ".\n")
	if r.Partial {
		m.warn("STOPPED EARLY", stopped(r))
	}
	if h := r.Harness; !h.Healthy {
		m.warn(unhealthy, cmp.Or(h.Effect, unhealthyMeans)+": "+strings.Join(h.Problems, "; "))
	}
	for _, fault := range r.Missing {
		m.warn(faultMissing, fault)
	}
}

// warn writes what weakens the rulings.
func (m *markdown) warn(label, text string) {
	m.add("\n> **" + label + "** " + markdownText(text) + "\n")
}

// claims is a line for each claim, what did not hold first.
func (m *markdown) claims(r *result.Result) {
	names := claimNames(r)
	var rows [][]string
	for _, i := range worstFirst(r.Verdicts) {
		v := r.Verdicts[i]
		rows = append(rows, []string{Mark(v.Ruling), markdownText(names[i]), v.Ruling.String(), markdownText(v.Reason)})
	}
	m.table([]string{"", "claim", "ruling", "why"}, rows)
	for _, note := range r.Notes {
		m.warn("NOTE", note)
	}
}

// worstFirst are the indices of verdicts, refuted ones before inconclusive ones
// before those that held.
func worstFirst(verdicts []judge.Verdict) []int {
	order := make([]int, len(verdicts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(verdicts[b].Ruling, verdicts[a].Ruling) })
	return order
}

// course is the run over its length.
func (m *markdown) course(view *series.View) {
	c := courseOf(view)
	if c == nil {
		return
	}
	row := func(name string, values []float64, unit func(float64) string) []string {
		least, most := extremes(values)
		return []string{name, "`" + Sparkline(values) + "`", unit(least) + " to " + unit(most)}
	}
	m.table([]string{"over the run", "", ""}, [][]string{
		row("requests", c.rate, PerSecond),
		row("not ok", c.errors, PerSecond),
		row("p99", c.p99, Millis),
	})
}

// parts are what each claim says, and what became of its sentences.
func (m *markdown) parts(r *result.Result) {
	if len(r.Verdicts) == 0 {
		return
	}
	names := claimNames(r)
	m.fold("What was claimed, and what each part of it came to", func() {
		for _, i := range worstFirst(r.Verdicts) {
			v := r.Verdicts[i]
			text := "\n" + Mark(v.Ruling) + " **" + markdownText(names[i]) + "** " + markdownText(claimTitle(v)) + "\n"
			if at := place(r, v); at != "" {
				text += "\nat " + markdownText(at) + "\n"
			}
			if v.Void != "" {
				text += "\nnothing can be told: " + markdownText(v.Void) + "\n"
			}
			if v.Despite != "" {
				text += "\nstands all the same: " + markdownText(v.Despite) + "\n"
			}
			m.add(text)
			var rows [][]string
			for _, p := range v.Parts {
				mark := "-"
				if !p.Note {
					mark = Mark(p.Ruling)
				}
				rows = append(rows, []string{mark, markdownText(p.Name), markdownText(p.Reason)})
			}
			m.table([]string{"", "part", "why"}, rows)
			if len(v.IDs) > 0 {
				m.add("\nrequests " + joinIDs(v.IDs) + "\n")
			}
		}
	})
}

// figures are the tables of the summary.
func (m *markdown) figures(r *result.Result) {
	m.fold("Routes, links, faults, harness", func() {
		var rows [][]string
		for _, route := range r.Routes {
			rows = append(rows, routeCells(route))
		}
		m.table(routeTitles, rows)
		if rows = nil; len(r.Regions) > 0 {
			for _, region := range r.Regions {
				rows = append(rows, routeCells(region))
			}
			m.table(append([]string{"region"}, routeTitles[1:]...), rows)
			rows = nil
		}
		for _, l := range r.Links {
			rows = append(rows, []string{markdownText(l.Name), markdownText(l.From + " > " + l.To), Count(l.Exchanges),
				strconv.Itoa(l.InFlight), Millis(l.Duration.P50), Millis(l.Duration.P99), markdownText(counts(l.Statuses)),
				markdownText(counts(l.Endings))})
		}
		m.table([]string{"link", "from > to", "exchanges", "max in flight", "p50", "p99", "statuses", "endings"}, rows)
		m.matrix(r)
		rows = nil
		shown, more := foremost(r.Faults)
		for _, f := range shown {
			rows = append(rows, []string{markdownText(f.Name), markdownText(f.On), moment(f.Injected), moment(f.Healed), Count(f.Hit),
				markdownText(faultNote(f))})
		}
		m.table([]string{"fault", "on", "injected at", "healed at", "hit", ""}, rows)
		if more != "" {
			m.add("\n" + more + "\n")
		}
		h := r.Harness
		m.table([]string{"harness", ""}, [][]string{
			{"arrivals", fmt.Sprintf("%s due, %s sent, %s unsent", Count(h.Offered), Count(h.Sent), Count(h.Unsent))},
			{"send lag", fmt.Sprintf("p50 %s, p99 %s, max %s", Millis(h.SendLag.P50), Millis(h.SendLag.P99), Millis(h.SendLag.Max))},
			{"hiccups", fmt.Sprintf("p99 %s in the worst second, max %s", Millis(h.HiccupP99), Millis(h.HiccupMax))},
			{"CPU", fixed(h.CPU, 2) + " cores"},
			{"records lost", Count(h.Lost)},
		})
		if r.Dir != "" {
			m.add("\nRun directory: " + markdownText(r.Dir) + "\n")
		}
	})
}

var routeTitles = []string{"route", "requests", "success", "response p50", "p99", "max", "service p50", "p99", "other than ok"}

// routeCells are a row of the table of routes.
func routeCells(r result.Route) []string {
	others := maps.Clone(r.Outcomes)
	delete(others, load.OK.String())
	return []string{markdownText(routeTitle(r)), Count(r.Requests), Percent(r.Success), Millis(r.Response.P50), Millis(r.Response.P99),
		Millis(r.Response.Max), Millis(r.Service.P50), Millis(r.Service.P99), markdownText(counts(others))}
}

// markdownText is foreign text that is shown as it is: in one line, without
// markup, tags, links, mentions and references. It may stand in the cell of a table,
// and not at the beginning of a line that is no cell.
func markdownText(text string) string { return markdownShort(text, longest) }

func markdownShort(text string, characters int) string {
	text = Clean(text)
	if n := utf8.RuneCountInString(text); n > characters {
		text = string([]rune(text)[:characters]) + "…"
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == '@':
			b.WriteString("&#64;" + apart) // a host looks for mentions in what was rendered
		case r == '#' || r == '!':
			b.WriteString(`\` + string(r))
			if next := text[i+1:]; next != "" && next[0] >= '0' && next[0] <= '9' {
				b.WriteString(apart) // a number of an issue
			}
		case strings.ContainsRune("|<>&$`", r):
			fmt.Fprintf(&b, "&#%d;", r) // even a backslash does not keep all of them from meaning something in a table
		case strings.ContainsRune(`\*_[]{}~^`, r):
			b.WriteString(`\` + string(r))
		case r == ':' && strings.HasPrefix(text[i:], "://"), r == '.' && i >= 3 && strings.EqualFold(text[i-3:i], "www"):
			fmt.Fprintf(&b, "&#%d;", r) // no link by itself
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// apart is a space of no width: what is behind it belongs to no name.
const apart = "&#8203;"
