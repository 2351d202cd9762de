package result

import (
	"embed"
	"reflect"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/manual"
	"github.com/stormctl/stormctl/chaos/series"
)

//go:embed chapter.go event.go fault.go harness.go link.go matrix.go result.go route.go spread.go
var ownSource embed.FS

// JSONSchema is the JSON Schema (draft 2020-12) of result.json: every field with its comment.
// It allows others, as fields may be added under the same version.
func JSONSchema() ([]byte, error) {
	said, err := manual.Read(ownSource, judge.ResultSource, series.Comments)
	if err != nil {
		return nil, err
	}
	r := jsonschema.Reflector{Anonymous: true, ExpandedStruct: true, AllowAdditionalProperties: true,
		Mapper: written, LookupComment: said.Of, Namer: definition}
	root := r.Reflect(&Result{})
	root.Title = "stormctl result"
	property(root, "schema").Const = Schema
	for name, def := range root.Definitions {
		switch name {
		case definition(reflect.TypeFor[judge.Exhibit]()):
			property(def, "kind").Enum = manual.Words(judge.Kinds)
			for _, kind := range judge.Kinds {
				def.OneOf = append(def.OneOf, &jsonschema.Schema{Required: []string{kind}})
			}
		case definition(reflect.TypeFor[judge.Span]()):
			property(def, "state").Enum = manual.Words(judge.StateNames)
		}
	}
	return manual.Text(root)
}

// definition is the name of a struct in the schema: two packages have a Route.
func definition(t reflect.Type) string {
	if t.Name() == "" {
		return ""
	}
	return strings.TrimPrefix(t.String(), "result.")
}

func property(s *jsonschema.Schema, name string) *jsonschema.Schema {
	p, _ := s.Properties.Get(name)
	return p
}

// written is the schema of the types that are not written as what they are in Go; nil for
// the others.
func written(t reflect.Type) *jsonschema.Schema {
	number := &jsonschema.Schema{Type: "number"}
	figure := &jsonschema.Schema{AnyOf: []*jsonschema.Schema{number, {Type: "null"}}}
	two := uint64(2)
	switch t {
	case reflect.TypeFor[evidence.Seconds]():
		return number
	case reflect.TypeFor[time.Time]():
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	case reflect.TypeFor[judge.Ruling]():
		rulings := []string{judge.Held.String(), judge.Inconclusive.String(), judge.Refuted.String()}
		return &jsonschema.Schema{Type: "string", Enum: manual.Words(rulings)}
	case reflect.TypeFor[judge.Interval](), reflect.TypeFor[judge.Bound]():
		return &jsonschema.Schema{Type: "array", Items: figure, MinItems: &two, MaxItems: &two}
	case reflect.TypeFor[judge.Numbers]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: figure}
	case reflect.TypeFor[[]*float64]():
		return &jsonschema.Schema{Type: "array", Items: figure}
	}
	return nil
}
