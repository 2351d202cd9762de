package reports

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// column is one column of a table. The last may wrap; the others are as wide
// as their widest cell.
type column struct {
	title string
	right bool // figures align at their right
}

// table writes rows under titles, two spaces apart and indented by two. What
// the last column has too much for width goes on under it.
func table(out *bytes.Buffer, width int, columns []column, rows [][]string) {
	wide := make([]int, len(columns))
	for i, c := range columns {
		wide[i] = utf8.RuneCountInString(c.title)
		for _, row := range rows {
			wide[i] = max(wide[i], utf8.RuneCountInString(row[i]))
		}
	}
	last := len(columns) - 1
	left := 2
	for _, n := range wide[:last] {
		left += n + 2
	}
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.title
	}
	for _, row := range append([][]string{titles}, rows...) {
		line := " "
		for i, c := range columns[:last] {
			pad := strings.Repeat(" ", wide[i]-utf8.RuneCountInString(row[i]))
			if c.right {
				line += " " + pad + row[i] + " "
			} else {
				line += " " + row[i] + pad + " "
			}
		}
		tail := wrap(row[last], max(width-left, 16))
		if columns[last].right {
			tail = []string{strings.Repeat(" ", wide[last]-utf8.RuneCountInString(row[last])) + row[last]}
		}
		for i, part := range tail {
			if i > 0 {
				line = strings.Repeat(" ", left-1)
			}
			endLine(out, line+" "+part)
		}
	}
}

// noBreak is a space at which wrap does not break. It is printed as a plain
// one.
const noBreak = "\u00a0"

// wrap breaks text into lines of at most width characters, at spaces. A word
// longer than that has a line of its own and is not broken: it is a path, a
// URL or a figure to be copied. There is always a line.
func wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.FieldsFunc(Clean(text), func(r rune) bool { return r == ' ' }) {
		line := &lines[len(lines)-1]
		switch {
		case *line == "":
			*line = word
		case utf8.RuneCountInString(*line)+1+utf8.RuneCountInString(word) <= width:
			*line += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// endLine writes a line of text without invisible characters at its end.
func endLine(out *bytes.Buffer, line string) {
	out.WriteString(strings.TrimRight(strings.ReplaceAll(line, noBreak, " "), " ") + "\n")
}
