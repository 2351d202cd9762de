package experiment

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxSize bounds a file. The largest honest one is a few hundred lines with a
// configuration file of some proxy in it.
const maxSize = 1 << 20

// maxErrors bounds what is told of one file. Who has more has given the wrong
// file, or one that no person wrote.
const maxErrors = 200

// source is one file as YAML nodes, with where everything stands and what was
// found wrong so far.
type source struct {
	file  string
	lines []string
	root  *yaml.Node // the value of the only document

	flags  map[*yaml.Node]string // nodes that --set brought in, with the flag
	places map[string]place      // of every value that was met, by its path
	bad    map[string]bool       // paths with an error at or below them
	partly map[string]bool       // paths of what was not read whole: what it lacks is not told
	told   map[Error]bool
	errs   Errors
	untold int // errors past maxErrors

	aliased int        // values reached through aliases so far
	aliases int        // around the value being decoded
	alias   *yaml.Node // the outermost of them
}

// place is where a value stands.
type place struct {
	key   *yaml.Node // nil for the whole and for entries of lists
	value *yaml.Node // of an alias, what it stands for: that is where the text is
}

func newSource(file string) *source {
	return &source{file: file, flags: map[*yaml.Node]string{}, places: map[string]place{},
		bad: map[string]bool{}, partly: map[string]bool{}, told: map[Error]bool{}}
}

// parse turns data into nodes. It reports what keeps it from that, and then
// root is nil.
func (s *source) parse(data []byte) {
	if len(data) > maxSize {
		s.at(1, 1, "the file is larger than 1 MiB", "an experiment is a few kilobytes; keep payloads and configuration elsewhere")
		return
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !s.readable(data) {
		return
	}
	s.lines = strings.Split(string(data), "\n")
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		s.at(1, 1, err.Error(), "")
		return
	}
	var document, more yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF):
		s.at(1, 1, "the file is empty", "an experiment has at least name, targets, load and claims")
		return
	case err != nil:
		s.at(syntax(err, s.lines))
		return
	case document.Kind != yaml.DocumentNode || len(document.Content) != 1:
		s.at(1, 1, "the file holds no value", "an experiment is a map with name, targets, load and claims")
		return
	}
	switch err := loader.Load(&more); {
	case errors.Is(err, io.EOF):
		s.root = document.Content[0]
	case err != nil:
		s.at(syntax(err, s.lines))
	default:
		s.at(max(more.Line, 1), max(more.Column, 1), "a second document begins here", "one file holds one experiment")
	}
}

// readable reports the first byte that no reader of YAML would take. The
// library finds them too, but does not tell where.
func (s *source) readable(data []byte) bool {
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		s.at(1, 1, "the file is UTF-16", "save it as UTF-8")
		return false
	}
	line, column := 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			s.at(line, column, fmt.Sprintf("byte 0x%02x is not UTF-8", data[i]), "save the file as UTF-8")
			return false
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', 0x7f <= r && r < 0xa0 && r != 0x85, r == 0xfffe, r == 0xffff:
			s.at(line, column, fmt.Sprintf("control character %U is not allowed", r), `in a text write it as an escape in double quotes, like "\x1b"`)
			return false
		case r == '\n':
			line, column = line+1, 0
		}
		column++
		i += size
	}
	return true
}

// syntax tells what an error of the YAML parser means. Its words are kept unless
// they describe the parser's state rather than the writer's slip.
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

// at reports a problem of the file as text.
func (s *source) at(line, column int, problem, hint string) {
	s.add(&Error{File: s.file, Line: line, Column: column, Problem: problem, Hint: hint})
}

// wrong reports a problem of a value, at the value.
func (s *source) wrong(path, problem, hint string) {
	s.report(s.places[path].value, path, problem, hint)
}

// wrongKey reports a problem of a value at its key: that it is not there, or
// that the key itself is the problem.
func (s *source) wrongKey(path, problem, hint string) {
	p := s.places[path]
	if p.key == nil {
		p.key = p.value
	}
	s.report(p.key, path, problem, hint)
}

// unread notes that a value, or some key of it, could not be read at all.
func (s *source) unread(path string) { s.partly[path] = true }

// lacks reports that a map does not say something it must. If one of its keys
// is unknown, that is most likely the slip, and has been told.
func (s *source) lacks(path, problem, hint string) {
	if !s.partly[path] {
		s.wrongKey(path, problem, hint)
	}
}

// report reports a problem at a node.
func (s *source) report(n *yaml.Node, path, problem, hint string) {
	e := &Error{File: s.file, Path: path, Problem: problem, Hint: hint}
	switch flag := s.flags[n]; {
	case flag != "":
		e.File = flag
	case n == nil:
		e.Line, e.Column = 1, 1
	default:
		e.Line, e.Column = max(n.Line, 1), max(n.Column, 1)
	}
	s.add(e)
}

// add keeps an error, unless the same was told: a value that is used through
// several aliases is wrong once.
func (s *source) add(e *Error) {
	same := *e
	same.Path = ""
	if s.told[same] {
		return
	}
	s.spoil(e.Path)
	if len(s.errs) >= maxErrors {
		s.untold++
		return
	}
	s.told[same] = true
	s.errs = append(s.errs, e)
}

// all is what is wrong with the file, in order.
func (s *source) all() Errors {
	s.errs.sort()
	if s.untold > 0 {
		last := *s.errs[len(s.errs)-1]
		last.Path, last.Problem, last.Hint = "", fmt.Sprintf("%d more errors are not told", s.untold), "is this the right file?"
		s.errs = append(s.errs, &last)
	}
	return s.errs
}

// spoil marks a path and all around it as having an error.
func (s *source) spoil(path string) {
	s.bad[path] = true
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			s.bad[path[:i]] = true
		}
	}
	s.bad[""] = true
}

// has tells whether the file says anything at a path.
func (s *source) has(path string) bool { return s.places[path].value != nil }

// sound tells whether a value is there and was read without an error.
func (s *source) sound(path string) bool { return s.has(path) && !s.bad[path] }
