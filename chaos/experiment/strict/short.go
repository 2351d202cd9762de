package strict

import "reflect"

// Short is implemented by the pointer to a struct that one text may stand for, like
// ready: /healthz in place of ready: {command: [...]}.
type Short interface {
	// Short is where that text goes, which is none of the struct's keys; "" means
	// that the struct is written with its keys.
	Short() *string
}

// shortOf is where the text goes that may stand for a struct; nil if none may. v is
// addressable.
func shortOf(v reflect.Value) *string {
	if s, ok := v.Addr().Interface().(Short); ok {
		return s.Short()
	}
	return nil
}

// ShortText is the text that stands for a struct; "" if none does.
func ShortText(v reflect.Value) string {
	copied := reflect.New(v.Type()).Elem()
	copied.Set(v)
	if s := shortOf(copied); s != nil {
		return *s
	}
	return ""
}

// IsShort reports whether one text may stand for a struct type.
func IsShort(t reflect.Type) bool { return reflect.PointerTo(t).Implements(reflect.TypeFor[Short]()) }
