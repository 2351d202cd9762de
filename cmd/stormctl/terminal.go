package main

import (
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/unit"
	"github.com/stormctl/stormctl/reports"
)

// terminal reports whether w is a terminal, and how many characters wide; 0 if
// the terminal does not know.
func terminal(w io.Writer) (width int, ok bool) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, false
	}
	return columnsOf(f)
}

// tell writes lines for people.
func tell(w io.Writer, text string) { io.WriteString(w, toWidth(w, text)+"\n") }

// toWidth breaks lines between words where w is a terminal that would cut them
// anywhere.
func toWidth(w io.Writer, text string) string {
	text = reports.CleanLines(text)
	width, _ := terminal(w)
	if width == 0 {
		return text
	}
	return unit.List(strings.Split(text, "\n"), "\n", func(line string) string { return reports.Wrap(line, width) })
}

// textOptions suit the summary to where it goes: a terminal gives its width, and
// gets colour unless NO_COLOR is set (no-color.org) or TERM says that it is a
// dumb one. Elsewhere COLUMNS may give the width.
func textOptions(w io.Writer, getenv func(string) string) reports.TextOptions {
	width, ok := terminal(w)
	if !ok {
		columns, _ := strconv.Atoi(getenv("COLUMNS")) // 0, which is the usual width, if it is none
		return reports.TextOptions{Width: max(columns, 0)}
	}
	return reports.TextOptions{Width: width, Color: getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}
