package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/result"
)

// matrixTitle says what the cells of a matrix are.
const matrixTitle = "Calls: how many a request of each route makes over each link on average, " +
	"and the share served while a fault was in force on it"

// matrixTable is a matrix to look at: a row for each route, a column for each link.
type matrixTable struct {
	links []string   // heads of the columns behind the routes'
	rows  [][]string // each begins with its route
	notes []string   // what the cells do not say, each a sentence
}

// Bounds of what is shown of a matrix; all of it is in result.json.
const (
	matrixLinksShown  = 12
	matrixRoutesShown = 50
	matrixNotes       = 10 // of each kind
)

// tableOf makes a table of the links on which faults were, then the others, and so many
// of the routes. It has no rows where there is nothing to show.
func tableOf(m *result.Matrix, routes []result.Route, most int) matrixTable {
	if m == nil || len(m.Links) == 0 {
		return matrixTable{}
	}
	var t matrixTable
	links := slices.Clone(m.Links)
	slices.SortStableFunc(links, func(a, b result.MatrixLink) int { return cmp.Compare(faultsFirst(a), faultsFirst(b)) })
	links = links[:min(len(links), matrixLinksShown)]
	cells := make([]map[string]result.MatrixCell, len(links))
	for i, l := range links {
		t.links = append(t.links, l.Link)
		cells[i] = make(map[string]result.MatrixCell, len(l.Routes))
		for _, c := range l.Routes {
			cells[i][c.Route] = c
		}
	}
	left := 0
	for _, r := range routes {
		row, known := []string{r.Name}, false
		for i, l := range links {
			c, has := cells[i][r.Name]
			known = known || has
			row = append(row, matrixCell(l, c, has))
		}
		switch {
		case !known:
		case len(t.rows) == most:
			left++
		default:
			t.rows = append(t.rows, row)
		}
	}
	if len(t.rows) == 0 {
		return matrixTable{}
	}
	if more := len(m.Links) - len(links) + m.More; more > 0 {
		t.notes = append(t.notes, otherText(more, "link", " in "+result.File))
	}
	if left > 0 {
		t.notes = append(t.notes, otherText(left, "route", " in "+result.File))
	}
	t.notes = append(t.notes, namelessNotes(links)...)
	t.notes = append(t.notes, fallNotes(m)...)
	return t
}

func faultsFirst(l result.MatrixLink) int {
	if slices.ContainsFunc(l.Routes, func(c result.MatrixCell) bool { return c.AtRisk > 0 }) {
		return 0
	}
	return 1
}

// matrixCell is what one route did over one link, and how it fared without it.
func matrixCell(l result.MatrixLink, c result.MatrixCell, has bool) string {
	calls := "0"
	switch {
	case !has:
		return unknown
	case c.Calls == 0 && l.Nameless > 0:
		calls = "?"
	case c.Calls > 0:
		calls = strconv.FormatFloat(c.PerRequest, 'g', 3, 64)
	}
	if c.AtRisk == 0 {
		return calls + ", " + unknown
	}
	text := calls + ", " + Percent(100*float64(c.Served)/float64(c.AtRisk))
	if l.Mixed {
		text += " *"
	}
	return text
}

// namelessNotes say what the counts of calls lack.
func namelessNotes(links []result.MatrixLink) (notes []string) {
	mixed := false
	for _, l := range links {
		mixed = mixed || l.Mixed
		if l.Nameless > 0 && len(notes) < matrixNotes {
			notes = append(notes, fmt.Sprintf("Over %s went %s without the id of a request: they are in no cell.", l.Link,
				number(l.Nameless, "call")))
		}
	}
	if mixed {
		notes = append(notes, "* Another fault was in force elsewhere meanwhile, which may be the reason.")
	}
	return notes
}

// fallNotes say what falls together, and what is shared.
func fallNotes(m *result.Matrix) (notes []string) {
	for i, fell := range m.LockStep {
		if i == matrixNotes {
			notes = append(notes, otherText(len(m.LockStep)-i, "link", " that took every route with it in "+result.File))
			break
		}
		text := fmt.Sprintf("Lock-step: while a fault was in force on %s, every route lost more than half of what it served before: %s",
			fell.Link, someOf(fell.Routes))
		if len(fell.Without) > 0 {
			text += ". No call over it was made by " + someOf(fell.Without)
		}
		notes = append(notes, text+".")
	}
	for i, s := range m.Shared {
		if i == matrixNotes {
			notes = append(notes, otherText(len(m.Shared)-i, "shared target", " in "+result.File))
			break
		}
		notes = append(notes, fmt.Sprintf("Shared: %s is called by %s, over %s: what takes it away takes it from all of them.",
			s.Target, someOf(s.From), someOf(s.Links)))
	}
	return notes
}

// someOf lists names, the first of many.
func someOf(names []string) string {
	const most = 8
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

// matrix is what the links have to do with the routes.
func (s *summary) matrix() {
	t := tableOf(s.result.Matrix, s.result.Routes, matrixRoutesShown)
	if len(t.rows) == 0 {
		return
	}
	columns := []column{{title: "route"}}
	for i, l := range t.links {
		columns = append(columns, column{title: Clean(l), right: true, rank: i})
	}
	for _, row := range t.rows {
		for i := range row {
			row[i] = Clean(row[i])
		}
	}
	s.heading(matrixTitle)
	table(&s.out, s.tables, columns, t.rows)
	for _, note := range t.notes {
		s.prose("  ", 2, Clean(note))
	}
}

// matrix writes it as a table, and its notes below.
func (m *markdown) matrix(r *result.Result) {
	t := tableOf(r.Matrix, r.Routes, matrixRoutesShown)
	if len(t.rows) == 0 {
		return
	}
	titles := []string{"calls, served"}
	for _, l := range t.links {
		titles = append(titles, markdownText(l))
	}
	for _, row := range t.rows {
		for i := range row {
			row[i] = markdownText(row[i])
		}
	}
	if !m.add("\n" + matrixTitle + ":\n") {
		return
	}
	m.table(titles, t.rows)
	for _, note := range t.notes {
		m.add("\n(" + markdownText(note) + ")\n") // what begins with a mark would mark up
	}
}

// matrixGrid is that table of a page.
func matrixGrid(r *result.Result, d detail) grid {
	t := tableOf(r.Matrix, r.Routes, d.routes)
	names := []string{"route"}
	for _, l := range t.links {
		names = append(names, ">"+nameOf(l))
	}
	g := grid{Heading: matrixTitle, Heads: heads(names...)}
	for _, row := range t.rows {
		for i := range row {
			row[i] = nameOf(row[i])
		}
		g.row(row...)
	}
	for i, note := range t.notes {
		t.notes[i] = shown(note, 500)
	}
	g.Others = strings.Join(t.notes, " ")
	return g
}
