package experiment

import (
	"reflect"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
)

// kindsOf lists the keys of the pointers in a struct: of a claim or an event,
// those of which exactly one is given.
func kindsOf(t reflect.Type) []string {
	var kinds []string
	for _, f := range strict.Fields(t) {
		if f.Type.Kind() == reflect.Pointer {
			kinds = append(kinds, f.Key)
		}
	}
	return kinds
}

// given is the pointer of a struct that is set, the first if several are: its
// key, and what it points to; "" and nil if none is.
func given(object any) (kind string, value any) {
	v := reflect.ValueOf(object)
	for _, f := range strict.Fields(v.Type()) {
		if p := v.FieldByIndex(f.Index); p.Kind() == reflect.Pointer && !p.IsNil() {
			return f.Key, p.Elem().Interface()
		}
	}
	return "", nil
}
