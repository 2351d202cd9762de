package experiment

import (
	"fmt"
	"reflect"
)

// ReadValue reads one value of an experiment that stands alone, YAML or JSON,
// as strictly as if it stood in a file: the keys of a fault, say, that come
// from elsewhere. v points to a struct whose fields have yaml tags; name stands
// for the file in errors. The error is of type Errors; then v is not to be used.
func ReadValue(name string, data []byte, v any) error {
	at := reflect.ValueOf(v)
	if at.Kind() != reflect.Pointer || at.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("read %s: %T is not a pointer to a struct", name, v)
	}
	s := newSource(name)
	if s.parse(data); s.root != nil {
		s.decode(nil, s.root, at.Elem(), "")
	}
	if len(s.errs) > 0 {
		return s.all()
	}
	return nil
}
