package experiment

import (
	"embed"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/manual"
	"github.com/stormctl/stormctl/chaos/proxy/greeting"
	"github.com/stormctl/stormctl/chaos/toxic"
)

//go:embed claim.go data.go event.go experiment.go gameday.go hostfault.go limits.go link.go link_event.go
//go:embed load.go process.go region.go request.go route.go schedule.go soak.go target.go tls.go
var ownSource embed.FS

// Schema is the JSON Schema (draft 2020-12) of the experiment file, for editors
// and for people: every key with its comment, its notation and its default. It
// says what one value may look like; that names are known and times fit
// together is for Parse to see.
func Schema() ([]byte, error) {
	said, err := manual.Read(ownSource, judge.Source, toxic.Source)
	if err != nil {
		return nil, err
	}
	r := jsonschema.Reflector{
		Anonymous: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true, FieldNameTag: "yaml",
		Mapper: notation, LookupComment: said.Of, Namer: definition,
	}
	root := r.Reflect(&Experiment{})
	root.Title = "stormctl experiment"
	for t := range structsOf(reflect.TypeFor[Experiment](), map[reflect.Type]bool{}) {
		s := root.Definitions[definition(t)]
		if t == reflect.TypeFor[Experiment]() {
			s = root
		}
		refine(s, t)
	}
	return manual.Text(root)
}

// definition is the name of a struct in the schema: two packages have a Timeout.
func definition(t reflect.Type) string {
	if t.Name() == "" {
		return ""
	}
	return strings.TrimPrefix(t.String(), "experiment.")
}

// notation is the schema of the types that are not written as what they are in
// Go; nil for the others.
func notation(t reflect.Type) *jsonschema.Schema {
	if n := strict.NotationOf(reflect.Zero(t)); n != nil {
		pattern, _ := n.Notation()
		text := &jsonschema.Schema{Type: "string", Pattern: pattern}
		if t == reflect.TypeFor[toxic.GRPCCode]() {
			return &jsonschema.Schema{OneOf: []*jsonschema.Schema{text, {Type: "integer", Minimum: "1", Maximum: "16"}}}
		}
		return text
	}
	switch {
	case strict.OneOrMany(t):
		one := jsonschema.Reflector{Anonymous: true, Mapper: notation}
		single, many := one.ReflectFromType(t.Elem()), one.ReflectFromType(t.Elem())
		single.Version, many.Version = "", ""
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{single, {Type: "array", Items: many, MinItems: ptr(1)}}}
	case strict.OneOrEach(t):
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string"},
			{Type: "object", AdditionalProperties: &jsonschema.Schema{Type: "string"}}}}
	case t == reflect.TypeFor[map[string]string](): // any scalar, kept as it is written
		return &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{
			AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}}
	}
	return nil
}

// refine adds what a struct says about itself: required keys, defaults, and of
// which keys there is exactly one.
func refine(s *jsonschema.Schema, t reflect.Type) {
	v := reflect.New(t).Elem()
	strict.Defaults(v)
	s.Required = strict.Required(v)
	for _, f := range strict.Fields(t) {
		p, ok := s.Properties.Get(f.Key)
		switch x := v.FieldByIndex(f.Index); {
		case !ok || strict.Empty(x):
		case x.Kind() != reflect.Struct:
			p.Default = plain(x)
		case strict.IsShort(x.Type()):
			s.Properties.Set(f.Key, &jsonschema.Schema{Description: p.Description, Default: strict.ShortText(x),
				OneOf: []*jsonschema.Schema{{Type: "string"}, {Ref: p.Ref}}})
		}
	}
	one := func(of []string) {
		for _, key := range of {
			s.OneOf = append(s.OneOf, &jsonschema.Schema{Required: []string{key}})
		}
	}
	named := func(keys ...string) {
		for _, key := range keys {
			p, _ := s.Properties.Get(key)
			p.PropertyNames = &jsonschema.Schema{Pattern: nameSyntax.String()}
		}
	}
	if keys, ok := oneKeys[t]; ok {
		one(keys)
	}
	for key, of := range choices[t] {
		p, _ := s.Properties.Get(key)
		p.Enum = manual.Words(of)
	}
	switch t {
	case reflect.TypeFor[Experiment]():
		p, _ := s.Properties.Get("name")
		p.Pattern = nameSyntax.String()
		named("targets", "links")
		p, _ = s.Properties.Get("reports")
		p.Items.Enum = manual.Words(ReportFormats)
		p, _ = s.Properties.Get("chaos")
		p.MaxItems = ptr(MaxEvents)
	case reflect.TypeFor[Claim]():
		p, _ := s.Properties.Get("name")
		p.Pattern = nameSyntax.String()
	}
}

// oneKeys are the keys of which a struct has exactly one.
var oneKeys = map[reflect.Type][]string{
	reflect.TypeFor[NetPartition](): partitionForms,
	reflect.TypeFor[Target]():       targetKinds,
	reflect.TypeFor[Load]():         scheduleKinds,
	reflect.TypeFor[Stage]():        {"to", "hold"},
	reflect.TypeFor[Route]():        requestForms,
	reflect.TypeFor[Step]():         requestForms,
	reflect.TypeFor[Event]():        eventKinds,
	reflect.TypeFor[Stop]():         stopKinds,
	reflect.TypeFor[Claim]():        claimKinds,
}

// choices are the words that a key of a struct may have.
var choices = map[reflect.Type]map[string][]string{
	reflect.TypeFor[NetPartition]():    {"direction": directions},
	reflect.TypeFor[Process]():         {"host": hosts},
	reflect.TypeFor[Target]():          {"protocol": protocols},
	reflect.TypeFor[Load]():            {"arrivals": arrivalKinds, "when_stalled": stallKinds, "poller": pollers},
	reflect.TypeFor[Link]():            {"protocol": linkProtocols, "greeting": greeting.Protocols},
	reflect.TypeFor[Event]():           {"direction": ways},
	reflect.TypeFor[CPU]():             {"by": cpuWays},
	reflect.TypeFor[Memory]():          {"by": memoryWays},
	reflect.TypeFor[judge.Breaker]():   {"counts": judge.Counts, "probing": judge.Probings},
	reflect.TypeFor[judge.Failover]():  {"other_regions": judge.FailoverOthers},
	reflect.TypeFor[judge.Stampede]():  {"per": judge.StampedePers},
	reflect.TypeFor[judge.Backoff]():   {"law": judge.Laws},
	reflect.TypeFor[judge.Effects]():   {"per": judge.Pers, "keys": judge.Keyings},
	reflect.TypeFor[judge.Ordered]():   {"per": judge.Orders},
	reflect.TypeFor[judge.Conserved](): {"keys": judge.Keyings},
}

// plain is a value as it stands in the file.
func plain(v reflect.Value) any {
	if n := strict.NotationOf(v); n != nil {
		return n.String()
	}
	return v.Interface()
}

func ptr(n uint64) *uint64 { return &n }

// structsOf collects the structs that a type is made of, itself included, and
// not those within another as its own keys.
func structsOf(t reflect.Type, seen map[reflect.Type]bool) map[reflect.Type]bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return structsOf(t.Elem(), seen)
	case reflect.Struct:
		if seen[t] {
			return seen
		}
		seen[t] = true
		for _, f := range strict.Fields(t) {
			structsOf(f.Type, seen)
		}
	}
	return seen
}
