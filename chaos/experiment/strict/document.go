package strict

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxErrors bounds what is reported of one file. A file with more errors is
// the wrong file, or was generated.
const maxErrors = 200

// Subject is what a file holds, in the words of messages about the whole file.
// A hint may be "".
type Subject struct {
	Name   string // like "an experiment"
	Map    string // hint where there is no map: which keys there are
	Empty  string // hint for an empty file
	Large  string // hint for a file of more than MaxSize bytes
	Single string // hint for a second document
	Set    string // hint for a --set that is not KEY=VALUE
}

// Doc is one file as YAML nodes, with where every value stands and what was
// found wrong so far. Checks that take more than one struct to see are made
// after Read, and report here.
type Doc struct {
	File string // as it was given to Read

	subject Subject
	lines   []string
	root    *yaml.Node // the value of the only document

	flags    map[*yaml.Node]string // nodes that --set brought in, with the flag
	places   map[Path]place        // of every value that was decoded
	bad      map[Path]bool         // paths with an error at or below them
	partly   map[Path]bool         // paths of values that were not read whole: missing keys are not reported
	reported map[Error]bool        // without their paths
	errs     Errors
	dropped  int // errors past maxErrors

	aliased int        // values reached through aliases so far
	aliases int        // around the value being decoded
	alias   *yaml.Node // the outermost of them
}

// place is where a value stands.
type place struct {
	key   *yaml.Node // nil for the whole file and for entries of lists
	value *yaml.Node // for an alias, the node that it refers to: that is where the text is
}

// Read decodes data, YAML or JSON, into the struct that v points to. file
// stands for the file in errors. Each of set is a KEY=VALUE that changes the
// file before it is decoded. The struct is usable only if Err returns nil.
func Read(of Subject, file string, data []byte, set []string, v any) *Doc {
	d := &Doc{File: file, subject: of, flags: map[*yaml.Node]string{}, places: map[Path]place{},
		bad: map[Path]bool{}, partly: map[Path]bool{}, reported: map[Error]bool{}}
	if d.parse(data); d.root != nil {
		for _, assignment := range set {
			d.set(assignment)
		}
		d.decode(nil, d.root, reflect.ValueOf(v).Elem(), "")
	}
	return d
}

// Decoded reports whether the file was decoded, with errors perhaps, but not
// broken off: further checks make sense only then.
func (d *Doc) Decoded() bool { return d.root != nil && d.aliased < maxAliased }

// Full reports whether as many errors were found as are kept.
func (d *Doc) Full() bool { return len(d.errs) >= maxErrors }

// Err is all that is wrong with the file, of type Errors; nil if nothing is.
func (d *Doc) Err() error {
	if len(d.errs) == 0 {
		return nil
	}
	d.errs.sort()
	if d.dropped == 0 {
		return d.errs
	}
	last := *d.errs[len(d.errs)-1]
	last.Path, last.Problem, last.Hint = "", fmt.Sprintf("%d more errors are not told", d.dropped), "is this the right file?"
	return append(d.errs[:len(d.errs):len(d.errs)], &last)
}

// Has reports whether the file has a value at a path.
func (d *Doc) Has(path Path) bool { return d.places[path].value != nil }

// Sound reports whether a value is there and was read without an error.
func (d *Doc) Sound(path Path) bool { return d.Has(path) && !d.bad[path] }

// Bad reports whether an error was found at or below a path.
func (d *Doc) Bad(path Path) bool { return d.bad[path] }

// Wrong reports a problem of a value, at the value.
func (d *Doc) Wrong(path Path, problem, hint string) {
	d.report(d.places[path].value, path, problem, hint)
}

// WrongKey reports a problem of a value at its key: that something is missing
// there, or that the key itself is the problem.
func (d *Doc) WrongKey(path Path, problem, hint string) {
	p := d.places[path]
	if p.key == nil {
		p.key = p.value
	}
	d.report(p.key, path, problem, hint)
}

// Lacks reports that a map does not say something that it must. If one of its
// keys is unknown, then that is the likely slip, and was reported already.
func (d *Doc) Lacks(path Path, problem, hint string) {
	if !d.partly[path] {
		d.WrongKey(path, problem, hint)
	}
}

// Missing reports that a map lacks a key.
func (d *Doc) Missing(path Path, key, hint string) {
	d.Lacks(path, string(path.Child(key))+": is missing", hint)
}

// WrongText reports a problem of a part of a text, where the part stands if it
// can be found there: within a text with escapes it cannot.
func (d *Doc) WrongText(path Path, part, problem, hint string) {
	n := d.places[path].value
	at := *n
	if flag := d.flags[n]; flag == "" {
		at.Line, at.Column = d.find(part, n.Line, n.Column)
	} else {
		d.flags[&at] = flag
	}
	d.report(&at, path, problem, hint)
}

// Place is where a path stands in the file: at its key, or at the nearest one
// around it that the file has. For what --set gave it is the flag, and no line.
func (d *Doc) Place(path Path) (file string, line, column int) {
	for ; ; path = path[:max(0, strings.LastIndexAny(string(path), ".["))] {
		p, ok := d.places[path]
		if !ok && path != "" {
			continue
		}
		switch n := cmp.Or(p.key, p.value); {
		case n == nil:
			return d.File, 1, 1
		case d.flags[n] != "":
			return d.flags[n], 0, 0
		default:
			return d.File, max(n.Line, 1), max(n.Column, 1)
		}
	}
}

// find is the first place of a text in the file from a place on; that place if
// there is none.
func (d *Doc) find(text string, line, column int) (int, int) {
	for i := line - 1; i < len(d.lines) && i >= 0; i++ {
		from := 0
		if i == line-1 {
			from = offset(d.lines[i], column)
		}
		if at := strings.Index(d.lines[i][from:], text); at >= 0 {
			return i + 1, utf8.RuneCountInString(d.lines[i][:from+at]) + 1
		}
	}
	return line, column
}

// offset is where the character of a column begins in a line, counted in bytes.
func offset(line string, column int) int {
	for at := range line {
		if column--; column < 1 {
			return at
		}
	}
	return len(line)
}

// at reports a problem of the file as text.
func (d *Doc) at(line, column int, problem, hint string) {
	d.add(&Error{File: d.File, Line: line, Column: column, Problem: problem, Hint: hint})
}

// report reports a problem at a node.
func (d *Doc) report(n *yaml.Node, path Path, problem, hint string) {
	e := &Error{File: d.File, Path: path, Problem: problem, Hint: hint}
	switch flag := d.flags[n]; {
	case flag != "":
		e.File = flag
	case n == nil:
		e.Line, e.Column = 1, 1
	default:
		e.Line, e.Column = max(n.Line, 1), max(n.Column, 1)
	}
	d.add(e)
}

// add keeps an error unless it is known: a value that is used through several
// aliases is wrong once.
func (d *Doc) add(e *Error) {
	same := *e
	same.Path = ""
	if d.reported[same] {
		return
	}
	for _, path := range e.Path.around() {
		d.bad[path] = true
	}
	if d.Full() {
		d.dropped++
		return
	}
	d.reported[same] = true
	d.errs = append(d.errs, e)
}

// unread notes that a value, or some key of it, could not be read at all.
func (d *Doc) unread(path Path) { d.partly[path] = true }
