package reports

import (
	"bytes"
	"strings"

	"github.com/mattn/go-runewidth"
)

// noBreak is a space at which wrap does not break. It is printed as a plain
// one.
const noBreak = "\u00a0"

// wrap breaks text into lines of at most width columns of a terminal, at spaces.
// A word longer than that has a line of its own and is not broken: it is a path,
// a URL or a figure to be copied. There is always a line.
func wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.FieldsFunc(Clean(text), func(r rune) bool { return r == ' ' }) {
		line := &lines[len(lines)-1]
		switch {
		case *line == "":
			*line = word
		case runewidth.StringWidth(*line)+1+runewidth.StringWidth(word) <= width:
			*line += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// Wrap breaks a line into lines of at most width columns of a terminal, at
// spaces, and indents those after the first by two more than the first. Spaces
// between columns stay. What would move the cursor is replaced; a word that is
// wider is left whole.
func Wrap(line string, width int) string {
	line = strings.TrimRight(Clean(line), " ")
	indent := line[:len(line)-len(strings.TrimLeft(line, " "))] + "  "
	var lines []string
	for runewidth.StringWidth(line) > width {
		end := breakAt(line, width)
		if end < 0 {
			break
		}
		lines = append(lines, strings.TrimRight(line[:end], " "))
		line = indent + strings.TrimLeft(line[end:], " ")
	}
	return strings.Join(append(lines, line), "\n")
}

// breakAt is the index of the last space before which a line is no wider than
// width and has a word, or of the first behind its first word; -1 if there is
// none.
func breakAt(line string, width int) int {
	at := -1
	for i, r := range line {
		if r != ' ' || strings.TrimLeft(line[:i], " ") == "" {
			continue
		}
		if at >= 0 && runewidth.StringWidth(strings.TrimRight(line[:i], " ")) > width {
			break
		}
		at = i
	}
	return at
}

// endLine writes a line of text without invisible characters at its end. A word that
// had to be broken may have become a command at its beginning.
func endLine(out *bytes.Buffer, line string) {
	out.WriteString(withoutCommands(strings.TrimRight(strings.ReplaceAll(line, noBreak, " "), " ")) + "\n")
}
