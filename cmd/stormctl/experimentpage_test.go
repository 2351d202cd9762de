package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
)

// The tables of docs/experiment.md and the schema are one source, the comments of
// the structs in chaos/experiment and chaos/toxic: this test writes them with -update,
// and compares them without.

// experimentSections are the structs of the file in the order of the page, the keys
// in the order of their source.
var experimentSections = []struct {
	title string
	of    reflect.Type
}{
	{"The file", reflect.TypeFor[experiment.Experiment]()},
	{"targets.NAME", reflect.TypeFor[experiment.Target]()},
	{"targets.NAME.process", reflect.TypeFor[experiment.Process]()},
	{"targets.NAME.tls", reflect.TypeFor[experiment.TLS]()},
	{"links.NAME", reflect.TypeFor[experiment.Link]()},
	{"links.NAME.tls", reflect.TypeFor[experiment.LinkTLS]()},
	{"links.NAME.tls.terminate", reflect.TypeFor[experiment.Terminate]()},
	{"links.NAME.tls.originate", reflect.TypeFor[experiment.Originate]()},
	{"load", reflect.TypeFor[experiment.Load]()},
	{"load.stages[i]", reflect.TypeFor[experiment.Stage]()},
	{"load.audit[i]", reflect.TypeFor[experiment.Audit]()},
	{"load.spike", reflect.TypeFor[experiment.Spike]()},
	{"load.sine", reflect.TypeFor[experiment.Sine]()},
	{"load.routes[i]", reflect.TypeFor[experiment.Route]()},
	{"load.routes[i].then[i]", reflect.TypeFor[experiment.Step]()},
	{"chaos[i]", reflect.TypeFor[experiment.Event]()},
	{"limits", reflect.TypeFor[experiment.Limits]()},
	{"limits.stop_if[i]", reflect.TypeFor[experiment.Stop]()},
	{"gameday", reflect.TypeFor[experiment.GameDay]()},
	{"gameday.palette[i]", reflect.TypeFor[experiment.Choice]()},
	{"soak", reflect.TypeFor[experiment.Soak]()},
}

// TestExperimentPage compares the page with the schema.
func TestExperimentPage(t *testing.T) {
	text, err := experiment.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		schemaObject
		Description string                  `json:"description"`
		Defs        map[string]schemaObject `json:"$defs"`
	}
	var about struct {
		Defs map[string]schemaKey `json:"$defs"`
	}
	for _, into := range []any{&schema, &about} {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	shown := map[string]bool{}
	begin := strings.Replace(keysBegin, "TestClaimPages", "TestExperimentPage", 1)
	page := begin + "\n"
	for _, section := range experimentSections {
		object, says := schema.Defs[section.of.Name()], about.Defs[section.of.Name()].Description
		if section.of == reflect.TypeFor[experiment.Experiment]() {
			object, says = schema.schemaObject, schema.Description
		}
		shown[section.of.Name()] = true
		page += sectionOf(t, section.title, says, object, keysOf(section.of))
	}
	kinds := map[string]bool{"Claim": true, "Ready": true} // the one key of Ready is in the text of ready
	for _, key := range schema.Defs["Event"].Properties {
		kinds[strings.TrimPrefix(key.Ref, "#/$defs/")] = true
	}
	page += "\n" + faultKeys(t, schema.Defs, about.Defs)
	for name := range schema.Defs {
		own := !strings.HasPrefix(name, "judge.") && !strings.HasPrefix(name, "toxic.")
		if own && !shown[name] && !kinds[name] {
			t.Errorf("%s is in the schema, and not on the page", name)
		}
	}
	compareBetween(t, "../../docs/experiment.md", begin, page+"\n"+keysEnd)
}

// keysOf are the keys of a struct in the order of its source.
func keysOf(of reflect.Type) (keys []string) {
	for _, f := range strict.Fields(of) {
		keys = append(keys, f.Key)
	}
	return keys
}

// sectionOf is the table of one object.
func sectionOf(t *testing.T, title, says string, object schemaObject, keys []string) string {
	t.Helper()
	var b strings.Builder
	_, sentence, _ := strings.Cut(says, " is ")
	if sentence != "" {
		sentence = strings.ToUpper(sentence[:1]) + sentence[1:] + "\n\n"
	}
	fmt.Fprintf(&b, "\n## `%s`\n\n%s| key | takes | what it is |\n| --- | --- | --- |\n", title, sentence)
	if title == "The file" {
		b.Reset()
		fmt.Fprintf(&b, "\n## %s\n\n| key | takes | what it is |\n| --- | --- | --- |\n", title)
	}
	if len(keys) < 2 {
		t.Errorf("%s has %d keys; the walk is broken", title, len(keys))
	}
	for _, key := range keys {
		k, ok := object.Properties[key]
		if !ok {
			t.Errorf("the schema lacks %s of %s", key, title)
			continue
		}
		required := ""
		if slices.Contains(object.Required, key) {
			required = ", required"
		}
		fmt.Fprintf(&b, "| `%s` | %s%s | %s |\n", key, k.written(), required, cell(k.Description))
	}
	return b.String()
}

// faultKeys is a line for each fault with its keys; those of all faults of a link are
// in a table of their own.
func faultKeys(t *testing.T, defs map[string]schemaObject, about map[string]schemaKey) string {
	t.Helper()
	common := []string{"share", "match", "first", "every", "cycle", "ramp", "max_active"}
	var b strings.Builder
	b.WriteString("## Faults: `chaos[i].KIND`\n\nEach has an example in [faults.md](faults.md).\n\n| kind | keys of its own | what it is |\n| --- | --- | --- |\n")
	for _, kind := range keysOf(reflect.TypeFor[experiment.Event]()) {
		name := strings.TrimPrefix(defs["Event"].Properties[kind].Ref, "#/$defs/")
		object, isKind := defs[name]
		if !isKind {
			continue
		}
		var own []string
		for key := range object.Properties {
			if !slices.Contains(common, key) {
				own = append(own, "`"+key+"`")
			}
		}
		slices.Sort(own)
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", kind, strings.Join(own, ", "), cell(about[name].Description))
	}
	b.WriteString("\nOf all faults of a link:\n\n| key | takes | what it is |\n| --- | --- | --- |\n")
	for _, key := range common {
		k := defs["toxic.Latency"].Properties[key]
		if k.Description == "" {
			t.Errorf("the schema says nothing of %s", key)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", key, k.written(), cell(k.Description))
	}
	return b.String()
}

// written is how the values of a key are written, whatever it is.
func (k schemaKey) written() string {
	switch {
	case k.Enum != nil:
		words := make([]string, len(k.Enum))
		for i, w := range k.Enum {
			words[i] = fmt.Sprintf("`%v`", w)
		}
		return strings.Join(words, ", ")
	case k.Ref != "" || k.Type == "object":
		return "a mapping"
	case k.Type == "array":
		return "a list"
	case k.Type == "integer":
		return "a whole number"
	case k.Type == "number":
		return "a number"
	case k.Type == "boolean":
		return "`true` or `false`"
	case slices.ContainsFunc(k.OneOf, func(of map[string]any) bool { return of["type"] == "object" }):
		return "one, or a mapping"
	case k.OneOf != nil:
		return "one, or a list"
	case k.Pattern == "":
		return "text"
	}
	for _, example := range []string{"a-name", "500ms", "95%", "500/s", "64KiB", "64KiB/s"} {
		if regexp.MustCompile(k.Pattern).MatchString(example) {
			return "like `" + example + "`"
		}
	}
	return "text"
}

// cell is a text as a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
