package strict

import (
	"reflect"
	"strings"
	"sync"
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

// Field is a key of a struct: an exported field with a yaml tag. Those of
// structs tagged ",inline" count as the outer struct's own.
type Field struct {
	Key   string
	Index []int // for reflect's FieldByIndex
	Type  reflect.Type
}

var fieldCache sync.Map // reflect.Type → []Field

// Fields lists the keys of a struct type in the order of its source.
func Fields(t reflect.Type) []Field {
	if known, ok := fieldCache.Load(t); ok {
		return known.([]Field)
	}
	var fields []Field
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		switch {
		case inline(f):
			for _, inner := range Fields(f.Type) {
				inner.Index = append([]int{i}, inner.Index...)
				fields = append(fields, inner)
			}
		case f.IsExported() && key != "" && key != "-":
			fields = append(fields, Field{Key: key, Index: []int{i}, Type: f.Type})
		}
	}
	fieldCache.Store(t, fields)
	return fields
}

func inline(f reflect.StructField) bool { return f.Tag.Get("yaml") == ",inline" }

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range Fields(t) {
		keys = append(keys, f.Key)
	}
	return keys
}

// Defaults sets what a struct means by absent keys: first those of the structs
// within it, then its own. v is addressable.
func Defaults(v reflect.Value) {
	for i := range v.NumField() {
		if inline(v.Type().Field(i)) {
			Defaults(v.Field(i))
		}
	}
	if d, ok := v.Addr().Interface().(defaulter); ok {
		d.Defaults()
	}
}

// Required lists the keys that a struct may not leave out. v is addressable.
func Required(v reflect.Value) []string {
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
func (d *Doc) check(v reflect.Value, path Path) {
	for i := range v.NumField() {
		if inline(v.Type().Field(i)) {
			d.check(v.Field(i), path)
		}
	}
	c, ok := v.Addr().Interface().(checker)
	if !ok {
		return
	}
	var reports []func()
	c.Check(func(name, problem string) {
		if report := d.found(path, name, problem); report != nil {
			reports = append(reports, report)
		}
	})
	for _, report := range reports { // not before all are found: one must not hide the next
		report()
	}
}

// example shows how a key could be written.
func example(t reflect.Type, key string) string {
	for _, f := range Fields(t) {
		if f.Key != key {
			continue
		}
		typ := f.Type
		if n := NotationOf(reflect.Zero(typ)); n != nil {
			if _, text := n.Notation(); text != "" {
				return key + ": " + text
			}
		}
		if OneOrMany(typ) || OneOrEach(typ) {
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

// found returns how to report a problem that a struct found in itself: at the
// named key, or path below it like on[1], if the file has it, otherwise at the
// whole. It returns nil if the cause was reported already.
func (d *Doc) found(path Path, name, problem string) func() {
	at, whole := path+Path("."+name), path.Tail()
	if path == "" { // a value that stands alone
		at, whole = Path(name), name
	}
	switch {
	case name != "" && d.Sound(at):
		return func() { d.Wrong(at, name+": "+problem, "") }
	case name != "" && d.Has(at):
		return nil
	case name != "" && strings.HasPrefix(problem, "is missing") && !d.bad[path]: // otherwise what could not be read may stand for it
		return func() { d.Lacks(path, string(at)+": "+problem, "") }
	case d.bad[path]:
		return nil // it may well be because of what could not be read
	}
	return func() { d.Lacks(path, whole+": "+problem, "") }
}
