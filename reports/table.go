package reports

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// column is one column of a table.
type column struct {
	title string
	right bool   // figures align at their right, and stay on one line
	full  string // what it is called where it is left out; "" means title
	rank  int    // where the width does not suffice, columns of the highest rank are left out together; 0 never is
}

// narrowest is how narrow a column of words may become where even its longest
// word does not fit beside the others.
const narrowest = 8

// table writes rows under titles, two spaces apart and indented by two, in at
// most width characters: titles and words wrap, then columns are left out, which
// is told below. Only where that does not suffice a word is broken, because a
// terminal that breaks a whole row makes all of it unreadable.
func table(out *bytes.Buffer, width int, columns []column, rows [][]string) {
	var dropped []string
	for {
		wide, fits := widths(width, columns, rows, false)
		least := slices.MaxFunc(columns, func(a, b column) int { return a.rank - b.rank }).rank
		if !fits && least > 0 {
			dropped = append(dropped, dropRank(least, &columns, &rows)...)
			continue
		}
		if !fits {
			wide, _ = widths(width, columns, rows, true)
		}
		writeTable(out, columns, rows, wide)
		break
	}
	if dropped == nil {
		return
	}
	for i, line := range wrap("not shown at this width: "+strings.Join(dropped, ", "), width-4) {
		endLine(out, strings.Repeat(" ", 2+2*min(i, 1))+line)
	}
}

// dropRank leaves out the columns of a rank, and returns what they are called.
func dropRank(rank int, columns *[]column, rows *[][]string) (names []string) {
	var kept []column
	cells := make([][]string, len(*rows))
	for i, c := range *columns {
		if c.rank == rank {
			name := c.full
			name = cmp.Or(name, c.title)
			names = append(names, strings.ReplaceAll(name, " ", noBreak))
			continue
		}
		kept = append(kept, c)
		for j, row := range *rows {
			cells[j] = append(cells[j], row[i])
		}
	}
	*columns, *rows = kept, cells
	return names
}

// widths are those of the columns in a table of at most width characters, and
// whether that many suffice. The widest column gives way first, down to its
// longest word or, with broken, to narrowest.
func widths(width int, columns []column, rows [][]string, broken bool) (wide []int, fits bool) {
	wide, least := make([]int, len(columns)), make([]int, len(columns))
	used := 2 * len(columns)
	for i := range columns {
		wide[i], least[i] = needs(columns, rows, i, width), needs(columns, rows, i, 1)
		if broken && !columns[i].right {
			least[i] = min(least[i], narrowest)
		}
		used += wide[i]
	}
	for used > width {
		widest := -1
		for i := range wide {
			if wide[i] > least[i] && (widest < 0 || wide[i] > wide[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return wide, false
		}
		now := max(least[widest], min(wide[widest]-1, needs(columns, rows, widest, wide[widest]-1)))
		used -= wide[widest] - now
		wide[widest] = now
	}
	return wide, true
}

// needs is how wide column i becomes when it wraps to width; more than that if
// a word is wider.
func needs(columns []column, rows [][]string, i, width int) (n int) {
	for _, line := range wrap(columns[i].title, width) {
		n = max(n, runewidth.StringWidth(line))
	}
	for _, row := range rows {
		if columns[i].right {
			n = max(n, runewidth.StringWidth(Clean(row[i])))
			continue
		}
		for _, line := range wrap(row[i], width) {
			n = max(n, runewidth.StringWidth(line))
		}
	}
	return n
}

// writeTable writes the titles, which stand on the rows, and the rows.
func writeTable(out *bytes.Buffer, columns []column, rows [][]string, wide []int) {
	titles, deepest := make([][]string, len(columns)), 0
	for i, c := range columns {
		titles[i] = wrap(c.title, wide[i])
		deepest = max(deepest, len(titles[i]))
	}
	for i := range titles {
		titles[i] = append(make([]string, deepest-len(titles[i])), titles[i]...)
	}
	writeRow(out, columns, titles, wide)
	for _, row := range rows {
		cells := make([][]string, len(row))
		for i, text := range row {
			if columns[i].right {
				cells[i] = []string{Clean(text)}
				continue
			}
			for _, line := range wrap(text, wide[i]) {
				cells[i] = append(cells[i], strings.Split(runewidth.Wrap(line, wide[i]), "\n")...)
			}
		}
		writeRow(out, columns, cells, wide)
	}
}

// writeRow writes cells of one line or more beside each other.
func writeRow(out *bytes.Buffer, columns []column, cells [][]string, wide []int) {
	deepest := 0
	for _, lines := range cells {
		deepest = max(deepest, len(lines))
	}
	for n := range deepest {
		var line strings.Builder
		for i, c := range columns {
			text := ""
			if n < len(cells[i]) {
				text = cells[i][n]
			}
			line.WriteString("  ")
			pad := strings.Repeat(" ", max(0, wide[i]-runewidth.StringWidth(text)))
			if c.right {
				line.WriteString(pad + text)
			} else {
				line.WriteString(text + pad)
			}
		}
		endLine(out, line.String())
	}
}
