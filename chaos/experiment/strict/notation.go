package strict

import (
	"reflect"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Notation is implemented by a type, or the pointer to it, whose values are
// texts in a notation of their own, like 64KiB.
type Notation interface {
	// Set reads a text. The error says what is wrong with it, and what would be
	// right.
	Set(text string) error
	// String is the text that Set reads back to the same value.
	String() string
	// Notation is a regular expression for the schema, and an example for hints;
	// without one a hint has the key alone.
	Notation() (pattern, example string)
}

// NotationOf is a copy of a value that reads and writes the notation of the
// value's type; nil if the type has none.
func NotationOf(v reflect.Value) Notation {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	switch x := p.Interface().(type) {
	case *time.Duration:
		return (*duration)(x)
	case *rate.Limit:
		return (*limit)(x)
	case Notation:
		return x
	}
	return nil
}

// The notations of types that are not ours.
type (
	duration time.Duration
	limit    rate.Limit
)

func (d *duration) Set(text string) error {
	x, err := unit.ParseDuration(text)
	*d = duration(x)
	return err
}

func (d duration) String() string { return unit.FormatDuration(time.Duration(d)) }

func (duration) Notation() (pattern, example string) {
	return `^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`, "10s"
}

func (l *limit) Set(text string) error {
	x, err := unit.ParseRate(text)
	*l = limit(x)
	return err
}

func (l limit) String() string { return unit.FormatRate(rate.Limit(l)) }

func (limit) Notation() (pattern, example string) { return `^[0-9]+(\.[0-9]+)?[kKM]?/[smh]$`, "500/s" }
