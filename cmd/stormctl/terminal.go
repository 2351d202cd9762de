package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/reports"
)

// terminal reports whether w is a terminal, and how many characters wide; 0 if
// the terminal does not know.
func terminal(w io.Writer) (width int, ok bool) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, false
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return int(size.Col), true
}

// textOptions suit the summary to where it goes: a terminal gives its width,
// up to what the eye can follow, and gets colour unless NO_COLOR is set
// (no-color.org) or TERM says that it is a dumb one.
func textOptions(w io.Writer, getenv func(string) string) reports.TextOptions {
	width, ok := terminal(w)
	if !ok {
		return reports.TextOptions{}
	}
	return reports.TextOptions{Width: min(width, 120), Color: getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}
