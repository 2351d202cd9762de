package experiment

import (
	"reflect"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/chaos/unit"
)

// What a type may say about itself; see the package comment.
type (
	defaulter interface{ Defaults() }
	requirer  interface{ Required() []string }
	checker   interface {
		Check(report func(field, problem string))
	}
	refuser interface {
		Refuse(key string) (problem, hint string)
	}
)

// field is a key of a struct: exported, with a yaml tag. Those of structs
// tagged ",inline" count as the outer struct's own.
type field struct {
	key   string
	index []int
	typ   reflect.Type
}

var fieldCache sync.Map // reflect.Type → []field

// fieldsOf lists the keys of a struct in the order of its source.
func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldCache.Load(t); ok {
		return known.([]field)
	}
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		switch {
		case inline(f):
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				fields = append(fields, inner)
			}
		case f.IsExported() && key != "" && key != "-":
			fields = append(fields, field{key: key, index: []int{i}, typ: f.Type})
		}
	}
	fieldCache.Store(t, fields)
	return fields
}

func inline(f reflect.StructField) bool { return f.Tag.Get("yaml") == ",inline" }

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// defaults sets what a struct means by absent keys: first that of the structs
// within it, then its own.
func defaults(v reflect.Value) {
	for i := range v.NumField() {
		if inline(v.Type().Field(i)) {
			defaults(v.Field(i))
		}
	}
	if d, ok := v.Addr().Interface().(defaulter); ok {
		d.Defaults()
	}
}

// required lists the keys that a struct may not leave out.
func required(v reflect.Value) []string {
	if r, ok := v.Addr().Interface().(requirer); ok {
		return r.Required()
	}
	return nil
}

// refused says why a struct has no such key although one may look for it; "" if
// there is nothing to say.
func refused(v reflect.Value, key string) (problem, hint string) {
	if r, ok := v.Addr().Interface().(refuser); ok {
		return r.Refuse(key)
	}
	return "", ""
}

// check lets a struct, and before it those within it, say what is wrong.
func (s *source) check(v reflect.Value, path string) {
	for i := range v.NumField() {
		if inline(v.Type().Field(i)) {
			s.check(v.Field(i), path)
		}
	}
	c, ok := v.Addr().Interface().(checker)
	if !ok {
		return
	}
	var report []func()
	c.Check(func(name, problem string) {
		if told := s.found(path, name, problem); told != nil {
			report = append(report, told)
		}
	})
	for _, told := range report { // not before all are found: one must not hide the next
		told()
	}
}

// example shows how a key could be written.
func example(t reflect.Type, key string) string {
	for _, f := range fieldsOf(t) {
		if f.key != key {
			continue
		}
		for _, e := range []struct {
			like reflect.Type
			text string
		}{
			{reflect.TypeFor[time.Duration](), "10s"}, {reflect.TypeFor[rate.Limit](), "500/s"},
			{reflect.TypeFor[unit.Share](), "50%"}, {reflect.TypeFor[unit.Size](), "64KiB"},
		} {
			if f.typ == e.like {
				return key + ": " + e.text
			}
		}
		typ := f.typ
		if oneOrMany(typ) {
			typ = typ.Elem()
		}
		switch typ.Kind() {
		case reflect.String:
			return key + ": NAME"
		case reflect.Int, reflect.Float64:
			return key + ": 1"
		case reflect.Slice:
			return key + ": [...]"
		case reflect.Map, reflect.Struct, reflect.Pointer:
			return key + ": {...}"
		}
	}
	return key
}

// found places what a type found wrong with itself: at the named key, or path
// below it like on[1], if the file has it, otherwise at the whole. It returns
// how to report it, nil if the cause has been told.
func (s *source) found(path, name, problem string) func() {
	at, whole := path+"."+name, tail(path)
	if path == "" { // a value that stands alone
		at, whole = name, name
	}
	switch {
	case name != "" && s.sound(at):
		return func() { s.wrong(at, name+": "+problem, "") }
	case name != "" && s.has(at):
		return nil
	case name != "" && strings.HasPrefix(problem, "is missing") && !s.bad[path]: // otherwise what could not be read may stand for it
		return func() { s.lacks(path, at+": "+problem, "") }
	case s.bad[path]:
		return nil // it may well be because of what could not be read
	}
	return func() { s.lacks(path, whole+": "+problem, "") }
}
