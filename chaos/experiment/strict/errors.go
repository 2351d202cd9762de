package strict

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Error is one thing that is wrong with a file, and where.
type Error struct {
	File    string // as it was given; for a value given by --set, the flag
	Line    int    // from 1; 0 if the place is no line of a file: a flag, or a file that cannot be read
	Column  int    // from 1, in characters; 0 if Line is
	Path    Path   // of the value, like chaos[0].errors.status
	Problem string // what is wrong
	Hint    string // what would be right; may be ""
}

func (e *Error) Error() string {
	text := e.File + ": "
	if e.Line > 0 {
		text = fmt.Sprintf("%s:%d:%d: ", e.File, e.Line, e.Column)
	}
	text += e.Problem
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

// Errors is everything that is wrong with a file, in the order of its lines;
// what --set brought in comes last.
type Errors []*Error

// Error has a line for each.
func (e Errors) Error() string {
	return unit.List(e, "\n", (*Error).Error)
}

func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

func (e Errors) sort() {
	slices.SortStableFunc(e, func(a, b *Error) int {
		if (a.Line == 0) != (b.Line == 0) {
			return b.Line - a.Line
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Quote shows a piece of the file in a message, cut if it is long.
func Quote(text string) string {
	const most = 60
	if len(text) <= most {
		return fmt.Sprintf("%q", text)
	}
	cut := most
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return fmt.Sprintf("%q...", text[:cut])
}
