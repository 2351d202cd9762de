package chaos

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
	"github.com/stormctl/stormctl/reports"
)

// publishedSchema is that of result.json, as it is and with no field allowed that it does
// not describe.
func publishedSchema(t *testing.T) (published, strict *jsonschema.Schema) {
	t.Helper()
	text, err := result.JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	read := func() map[string]any {
		t.Helper()
		s, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return s.(map[string]any)
	}
	compiled := func(s map[string]any) *jsonschema.Schema {
		t.Helper()
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource("result.schema.json", s); err != nil {
			t.Fatal(err)
		}
		schema, err := c.Compile("result.schema.json")
		if err != nil {
			t.Fatal(err)
		}
		return schema
	}
	closed := read()
	for _, object := range append(objects(closed["$defs"]), closed) {
		object["additionalProperties"] = false
	}
	return compiled(read()), compiled(closed)
}

// objects are the schemas among some that have properties.
func objects(defs any) (all []map[string]any) {
	for _, def := range defs.(map[string]any) {
		if s := def.(map[string]any); s["properties"] != nil {
			all = append(all, s)
		}
	}
	return all
}

// follows validates a document.
func follows(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(document)
}

// recordedResult is result.json of a recorded run with claims of every kind.
func recordedResult(t *testing.T) []byte {
	t.Helper()
	r, err := Judge(runDir(t, 6000, 400, allClaims, true))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := reports.JSON(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What is written follows the schema and has no field that the schema lacks: recorded runs
// with claims of every kind, and results of every shape.
func TestResultsFollowTheirSchema(t *testing.T) {
	published, strict := publishedSchema(t)
	documents := map[string][]byte{"recorded": recordedResult(t)}
	files, err := filepath.Glob(filepath.Join("..", "reports", "testdata", "*.json"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d results: %v", len(files), err)
	}
	for _, file := range files {
		switch filepath.Base(file) {
		case "course.json", // made up with parts of a series only, which no run leaves
			"comparison.json": // no result
			continue
		}
		if documents[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range documents {
		if err := follows(t, published, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := follows(t, strict, text); err != nil {
			t.Errorf("%s has what the schema does not describe: %v", name, err)
		}
	}
}

// The recorded run shows every kind of exhibit, so that the schema of each is put to the test.
func TestRecordedRunShowsEveryClaim(t *testing.T) {
	var r result.Result
	if err := json.Unmarshal(recordedResult(t), &r); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, v := range r.Verdicts {
		for _, e := range v.Exhibits {
			kinds[e.Kind] = true
		}
		if len(v.Exhibits) == 0 || len(v.Parts) == 0 {
			t.Errorf("%s (%s) has %d exhibits and %d parts", v.Claim, v.Reason, len(v.Exhibits), len(v.Parts))
		}
	}
	for _, kind := range judge.Kinds {
		if !kinds[kind] && kind != judge.KindWaits && kind != judge.KindRegister { // no call of it is retried, and it has no data
			t.Errorf("none is %s", kind)
		}
	}
}

// What is no result is refused, and a field of a later version is not.
func TestSchemaRefusesWhatIsNoResult(t *testing.T) {
	published, _ := publishedSchema(t)
	good := string(recordedResult(t))
	for _, row := range []struct{ name, old, now string }{
		{"a ruling that there is not", `"ruling": "refuted"`, `"ruling": "maybe"`},
		{"another version", `"schema": 1`, `"schema": 2`},
		{"a time without a date", `"started": "`, `"started": "at `},
		{"no verdicts", `"verdicts": [`, `"verdict": [`},
		{"a figure in words", `"requests": `, `"requests": "many", "requests_": `},
		{"a state that there is not", `"state": "closed"`, `"state": "ajar"`},
		{"an exhibit of no kind", `"kind": "states"`, `"kind": "statues"`},
		{"an exhibit of two kinds", `"level": {`, `"growth": {"of": "", "unit": "", "points": [], "slope_per_s": 0, "at_0": 0}, "level": {`},
		{"a step without its end", `"end_s": `, `"ended_s": `},
	} {
		if !strings.Contains(good, row.old) {
			t.Errorf("%s: the result has no %s", row.name, row.old)
		} else if follows(t, published, []byte(strings.Replace(good, row.old, row.now, 1))) == nil {
			t.Errorf("%s is not refused", row.name)
		}
	}
	if err := follows(t, published, []byte(strings.Replace(good, `"schema": 1`, `"schema": 1, "later": {"on": 1}`, 1))); err != nil {
		t.Errorf("a field of a later version: %v", err)
	}
}

// Each type, and each field of parts and exhibits, is described.
func TestResultSchemaDescribes(t *testing.T) {
	text, err := result.JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	described := func(name string, of any) bool {
		text, _ := of.(map[string]any)["description"].(string)
		return len(text) >= 5 && !strings.Contains(text, "\n")
	}
	fields := 0
	for name, def := range s["$defs"].(map[string]any) {
		if !described(name, def) {
			t.Errorf("%s is not described", name)
		}
		for field, of := range def.(map[string]any)["properties"].(map[string]any) {
			if !strings.HasPrefix(name, "judge.") || name == "judge.Verdict" {
				continue
			}
			if fields++; !described(field, of) {
				t.Errorf("%s of %s is not described", field, name)
			}
		}
	}
	if fields < 50 {
		t.Errorf("%d fields found; the walk is broken", fields)
	}
}
