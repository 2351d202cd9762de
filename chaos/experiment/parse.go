package experiment

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/load/input"
)

// Options is what the reader of a file may need to know beside it. The zero
// value checks all that the file alone can tell.
type Options struct {
	// Set changes the file before it is read: KEY=VALUE like load.rate=1k/s,
	// chaos[0].for=2s, targets.checkout.with.flaw=never-opens.
	Set []string

	// Here says that the experiment is to run on this machine: the files that it
	// names must be there and in order, and what it asks of the system too.
	Here bool

	// References are the names of the reference services; nil accepts any.
	References []string
	// Reference checks the settings of a reference service; nil accepts any.
	// An error that joins several is told as several, each at the setting that
	// it names first.
	Reference func(name string, with map[string]string) error

	// Weak is told of each part of a claim that the experiment cannot decide, in
	// the order of the file, if nothing is wrong with it; nil is not asked.
	Weak func(Weakness)

	// Origin gets where the experiment was read from, if nothing is wrong with it;
	// nil is not asked.
	Origin *Origin
}

// ReadFile reads an experiment file, or a pipe that stands for one: "-" and what
// <(command) becomes. The error is of type strict.Errors and holds all
// that is wrong with the file.
func ReadFile(file string, opts Options) (*Experiment, error) {
	data, file, err := input.Given(file, File)
	if err != nil {
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			err = at.Err // the place says the file already
		}
		return nil, strict.Errors{{File: file, Problem: "cannot be read: " + err.Error()}}
	}
	return Parse(file, data, opts)
}

// File is the kind of an experiment file. Its bytes are left to Parse, which
// says where in them something is wrong.
var File = input.Kind{Name: "an experiment", MaxSize: strict.MaxSize, Binary: true}

// Parse reads an experiment from data; name stands for the file in errors, and
// relative paths in the file start at its folder. The experiment is as resolved: what
// is absent has its default. The error is of type strict.Errors and holds all that is
// wrong.
func Parse(name string, data []byte, opts Options) (*Experiment, error) {
	x := &Experiment{}
	d := strict.Read(subject, name, data, opts.Set, x)
	if d.Decoded() {
		validate(d, x, opts)
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	if err := x.resolve(filepath.Dir(name)); err != nil {
		return nil, strict.Errors{{File: name, Line: 1, Column: 1, Problem: fmt.Sprintf("resolve defaults: %v", err)}}
	}
	if opts.Origin != nil {
		*opts.Origin = originOf(d, len(x.Claims))
	}
	if opts.Weak != nil {
		if err := x.weaknesses(d, opts); err != nil {
			return nil, strict.Errors{{File: name, Line: 1, Column: 1, Problem: fmt.Sprintf("look for what it cannot decide: %v", err)}}
		}
	}
	return x, nil
}

// Marshal writes an experiment as a file that Parse reads back to an equal
// value. Defaults are written out, so that a later version with other defaults
// still judges what was run.
func Marshal(x *Experiment) ([]byte, error) {
	text, err := strict.Marshal(x)
	if err != nil {
		return nil, fmt.Errorf("marshal experiment %s: %w", x.Name, err)
	}
	return text, nil
}

// subject is what a file is said to be in messages about the whole of it.
var subject = strict.Subject{
	Name:   "an experiment",
	Map:    "an experiment is a map with name, targets, load and claims",
	Empty:  "an experiment has at least name, targets, load and claims",
	Large:  "an experiment is a few kilobytes; keep payloads and configuration elsewhere",
	Single: "one file holds one experiment",
	Set:    "write KEY=VALUE, like load.rate=1k/s or chaos[0].for=2s",
}
