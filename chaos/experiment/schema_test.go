package experiment

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/stormctl/stormctl/chaos/experiment/strict"
	"github.com/stormctl/stormctl/chaos/judge"
)

func schema(t *testing.T) map[string]any {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// The comments of the fields are the manual: a key without one would be told to
// nobody.
func TestSchemaDescribesEveryKey(t *testing.T) {
	s := schema(t)
	defs := s["$defs"].(map[string]any)
	keys := 0
	for typ := range structsOf(reflect.TypeFor[Experiment](), map[reflect.Type]bool{}) {
		object := s
		if typ != reflect.TypeFor[Experiment]() {
			found, ok := defs[definition(typ)].(map[string]any)
			if !ok {
				t.Errorf("%s is not in the schema", typ)
				continue
			}
			object = found
		}
		if text, _ := object["description"].(string); text == "" {
			t.Errorf("%s is not described", typ)
		}
		if object["additionalProperties"] != false {
			t.Errorf("%s takes any key", typ)
		}
		properties, _ := object["properties"].(map[string]any)
		if len(properties) != len(strict.Fields(typ)) {
			t.Errorf("%s has %d keys in the schema, %d in the file", typ, len(properties), len(strict.Fields(typ)))
		}
		for _, f := range strict.Fields(typ) {
			keys++
			p, _ := properties[f.Key].(map[string]any)
			text, _ := p["description"].(string)
			if len(text) < 10 || strings.Contains(text, "\n") {
				t.Errorf("%s of %s is described as %q", f.Key, typ, text)
			}
		}
	}
	if keys < 90 {
		t.Errorf("%d keys found; the walk is broken", keys)
	}
}

// Good files follow the schema.
func TestGoodFilesFollowTheSchema(t *testing.T) {
	s := schema(t)
	for _, file := range goodFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if problems := violations(t, s, text); len(problems) > 0 {
			t.Errorf("%s:\n%s", file, strings.Join(problems, "\n"))
		}
	}
}

// And many broken ones do not: the schema is not one that takes everything.
func TestSchemaRefuses(t *testing.T) {
	s := schema(t)
	for _, row := range []struct{ old, new, want string }{
		{"", "", ""},
		{"name: minimal", "name: minimal\nabuot: x", "abuot"},
		{"name: minimal", "about: x", "name"},
		{"name: minimal", "name: a b", "name"},
		{"rate: 10/s", "rate: 10", "rate"},
		{"rate: 10/s", "rate: 10/d", "rate"},
		{"rate: 10/s, ", "", "oneOf"},
		{"duration: 10s", "duration: 10", "duration"},
		{"duration: 10s", "duration: 10s, arrivals: poison", "arrivals"},
		{"99%", "0.99", "success"},
		{"status: 503", "status: bad", "status"},
		{"status: 503", "status: []", "status"},
		{", errors: {status: 503}", "", "oneOf"},
		{"errors: {status: 503}", "errors: {status: 503}, pause: {}", "oneOf"},
		{"at: 2s, ", "", "at"},
		{"errors: {status: 503}", "cpu: {cores: 1, by: magic}", "by"},
		{"errors: {status: 503}", "memory: {free: 1MiB, by: magic}", "by"},
		{"errors: {status: 503}", "net_partition: {netns: blue, direction: up}", "direction"},
		{"get: /buy", "get: /buy, post: /buy", "oneOf"},
		{"{reference: dependency}", "{reference: dependency, url: x}", "oneOf"},
		{"{reference: dependency}", "{reference: dependency, with: {a: [b]}}", "with"},
		{"pay: {", "a pay: {", "links"},
		{"claims: [", "reports: [docx]\nclaims: [", "reports"},
	} {
		text := strings.Replace(minimal, row.old, row.new, 1)
		problems := strings.Join(violations(t, s, []byte(text)), "\n")
		if (problems == "") != (row.want == "") || !strings.Contains(problems, row.want) {
			t.Errorf("%q for %q: got %q, want something about %q", row.new, row.old, problems, row.want)
		}
	}
}

func violations(t *testing.T, schema map[string]any, text []byte) []string {
	t.Helper()
	var value any
	if err := yaml.Load(text, &value); err != nil {
		t.Fatal(err)
	}
	v := validator{root: schema}
	v.check("", schema, value)
	return v.problems
}

// validator knows the part of JSON Schema that ours uses, and fails on any
// other.
type validator struct {
	root     map[string]any
	problems []string
}

func (v *validator) fail(at, format string, args ...any) {
	v.problems = append(v.problems, at+": "+fmt.Sprintf(format, args...))
}

func (v *validator) passes(schema map[string]any, value any) bool {
	inner := validator{root: v.root}
	inner.check("", schema, value)
	return len(inner.problems) == 0
}

func (v *validator) check(at string, schema map[string]any, value any) {
	for keyword, rule := range schema {
		switch keyword {
		case "$schema", "$defs", "title", "description", "default":
		case "$ref":
			v.check(at, v.root["$defs"].(map[string]any)[strings.TrimPrefix(rule.(string), "#/$defs/")].(map[string]any), value)
		case "type":
			if got := typeOf(value); got != rule && !(got == "integer" && rule == "number") {
				v.fail(at, "is %s, not %s", got, rule)
			}
		case "enum":
			if !slices.Contains(rule.([]any), value) {
				v.fail(at, "%v is none of %v", value, rule)
			}
		case "pattern":
			if s, ok := value.(string); ok && !regexp.MustCompile(rule.(string)).MatchString(s) {
				v.fail(at, "%q does not match %s", s, rule)
			}
		case "oneOf", "anyOf":
			n := 0
			for _, one := range rule.([]any) {
				if v.passes(one.(map[string]any), value) {
					n++
				}
			}
			if n == 0 || keyword == "oneOf" && n > 1 {
				v.fail(at, "matches %d of %s", n, keyword)
			}
		case "minItems", "maxItems":
			if list, ok := value.([]any); ok {
				if n := float64(len(list)); keyword == "minItems" && n < rule.(float64) || keyword == "maxItems" && n > rule.(float64) {
					v.fail(at, "%d items, %s is %v", len(list), keyword, rule)
				}
			}
		case "minimum", "exclusiveMinimum":
			if n := reflect.ValueOf(value); n.CanInt() && float64(n.Int()) < rule.(float64) {
				v.fail(at, "%v is less than %v", value, rule)
			}
		case "items":
			if list, ok := value.([]any); ok {
				for i, x := range list {
					v.check(fmt.Sprintf("%s[%d]", at, i), rule.(map[string]any), x)
				}
			}
		case "required":
			if object, ok := value.(map[string]any); ok {
				for _, key := range rule.([]any) {
					if _, given := object[key.(string)]; !given {
						v.fail(at, "%s is missing", key)
					}
				}
			}
		case "properties":
			if object, ok := value.(map[string]any); ok {
				for key, x := range object {
					if p, known := rule.(map[string]any)[key]; known {
						v.check(at+"."+key, p.(map[string]any), x)
					}
				}
			}
		case "additionalProperties":
			object, ok := value.(map[string]any)
			known, _ := schema["properties"].(map[string]any)
			for key, x := range object {
				if _, is := known[key]; is || !ok {
					continue
				}
				if rule == false {
					v.fail(at, "%s is unknown", key)
				} else {
					v.check(at+"."+key, rule.(map[string]any), x)
				}
			}
		case "propertyNames":
			if object, ok := value.(map[string]any); ok {
				for key := range object {
					v.check(at+"."+key, rule.(map[string]any), key)
				}
			}
		default:
			v.fail(at, "the validator of this test does not know %s", keyword)
		}
	}
}

func typeOf(value any) string {
	switch x := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if x == math.Trunc(x) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	default:
		return "integer"
	}
}

// A key that takes one of a few words lists them, so that an editor completes them
// and refuses others, as the reader does.
func TestSchemaListsTheWordsOfClaims(t *testing.T) {
	defs := schema(t)["$defs"].(map[string]any)
	for _, c := range []struct {
		of   reflect.Type
		key  string
		want string
	}{
		{reflect.TypeFor[judge.Breaker](), "counts", "[request attempt]"},
		{reflect.TypeFor[judge.Breaker](), "probing", "[cumulative concurrent window]"},
		{reflect.TypeFor[judge.Backoff](), "law", "[add spread full constant linear decorrelated]"},
	} {
		properties := defs[definition(c.of)].(map[string]any)["properties"].(map[string]any)
		if got := fmt.Sprint(properties[c.key].(map[string]any)["enum"]); got != c.want {
			t.Errorf("%s.%s may be %s, want %s", c.of, c.key, got, c.want)
		}
	}
}
