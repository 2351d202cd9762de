package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/stormctl/stormctl/load/input"
)

// MaxSize bounds a file. Honest ones have a few hundred lines, with the
// configuration file of another program in them.
const MaxSize = 1 << 20

// parse turns data into nodes. If it cannot, it adds the error, and root is
// nil.
func (d *Doc) parse(data []byte) {
	if len(data) > MaxSize {
		d.at(1, 1, "the file is larger than 1 MiB", d.subject.Large)
		return
	}
	data, err := input.Plain(data)
	if no, ok := errors.AsType[*input.NotText](err); ok {
		d.at(no.Line, no.Column, no.Problem, no.Hint)
		return
	}
	if !d.readable(data) {
		return
	}
	d.lines = strings.Split(string(data), "\n")
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		d.at(1, 1, err.Error(), "")
		return
	}
	var document, more yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF):
		d.at(1, 1, "the file is empty", d.subject.Empty)
		return
	case err != nil:
		d.at(syntax(err, d.lines))
		return
	case document.Kind != yaml.DocumentNode || len(document.Content) != 1:
		d.at(1, 1, "the file holds no value", d.subject.Map)
		return
	}
	switch err := loader.Load(&more); {
	case errors.Is(err, io.EOF):
		d.root = document.Content[0]
	case err != nil:
		d.at(syntax(err, d.lines))
	default:
		d.at(max(more.Line, 1), max(more.Column, 1), "a second document begins here", d.subject.Single)
	}
}

// readable looks for the first byte that no reader of YAML would take, and
// reports whether there is none. The library finds it too, but not its place.
func (d *Doc) readable(data []byte) bool {
	line, column := 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			d.at(line, column, fmt.Sprintf("byte 0x%02x is not UTF-8", data[i]), "save the file as UTF-8")
			return false
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', 0x7f <= r && r < 0xa0 && r != 0x85, r == 0xfffe, r == 0xffff:
			d.at(line, column, fmt.Sprintf("control character %U is not allowed", r),
				`in a text write it as an escape in double quotes, like "\x1b"`)
			return false
		case r == '\n':
			line, column = line+1, 0
		}
		column++
		i += size
	}
	return true
}

// syntax says what an error of the YAML parser means. The parser's words are
// kept unless they describe its state rather than the mistake in the file.
func syntax(err error, lines []string) (line, column int, problem, hint string) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		return 1, 1, "not YAML", err.Error()
	}
	mark, problem := e.Mark, e.Message
	switch {
	case strings.HasPrefix(problem, "found character that cannot start any token"):
		switch c := charAt(lines, mark.Line, mark.Column); c {
		case '\t':
			problem, hint = "a tab cannot indent", "use spaces"
		default:
			problem, hint = fmt.Sprintf("a value cannot begin with %q", c), "put it in quotes"
		}
	case strings.HasPrefix(problem, "mapping values are not allowed"):
		problem, hint = "a key cannot begin here", "indent it like the keys around it, or put a text with a colon in quotes"
	case strings.HasPrefix(problem, "could not find expected ':'"):
		mark, problem, hint = e.ContextMark, "a key without a colon", "write key: value"
	case strings.HasPrefix(problem, "found unexpected end of stream") && strings.Contains(e.ContextMsg, "quoted"):
		mark, problem, hint = e.ContextMark, "a quote is opened here and never closed", "close it"
	case strings.HasPrefix(problem, "found unknown escape character"):
		problem, hint = "unknown escape", `in double quotes write \\ for a backslash, or use single quotes`
	case strings.HasPrefix(problem, "did not find expected ',' or"):
		problem += fmt.Sprintf(" of the brackets opened at %d:%d", e.ContextMark.Line, e.ContextMark.Column)
		hint = "separate entries with commas and close the brackets"
	case strings.HasPrefix(problem, "did not find expected '-' indicator"):
		problem, hint = "a list is left for something else", "begin each entry with - in the same column"
	case strings.HasPrefix(problem, "did not find expected key"):
		problem, hint = "a key is expected here", "indent it like the keys around it"
	case strings.HasPrefix(problem, "did not find expected node content"):
		problem, hint = "a value is expected here", "close brackets and give every entry a value"
	case strings.Contains(problem, "unknown anchor"):
		problem = strings.Replace(problem, "referenced", "is referred to", 1)
		hint = "define it before with &"
	}
	if mark.Line < 1 {
		mark = e.ContextMark
	}
	return max(mark.Line, 1), max(mark.Column, 1), problem, hint
}

// charAt is the character at a place, 0 if there is none.
func charAt(lines []string, line, column int) rune {
	if line < 1 || line > len(lines) {
		return 0
	}
	text := []rune(lines[line-1])
	if column < 1 || column > len(text) {
		return 0
	}
	return text[column-1]
}
