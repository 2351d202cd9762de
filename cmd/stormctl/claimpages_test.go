package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/experiment/strict"
)

// The pages of docs/claims and the schema are one source, the comments of the
// claims in chaos/judge: what a page says of keys is written by this test with
// -update, and compared with the schema without.

const (
	claimDocs = "../../docs/claims"
	keysBegin = "<!-- From the schema: go test ./cmd/stormctl -run TestClaimPages -update -->"
	keysEnd   = "<!-- End of what is from the schema. -->"
)

// schemaObject is the part of the JSON Schema of an object that the pages show.
type schemaObject struct {
	Properties map[string]schemaKey `json:"properties"`
	Required   []string             `json:"required"`
}

// schemaKey is that of one key.
type schemaKey struct {
	Description string           `json:"description"`
	Type        string           `json:"type"`
	Pattern     string           `json:"pattern"`
	Ref         string           `json:"$ref"`
	Default     json.RawMessage  `json:"default"`
	OneOf       []map[string]any `json:"oneOf"`
	Enum        []any            `json:"enum"`
}

// claimSchema reads the schema as it is printed.
func claimSchema(t *testing.T) (claims schemaObject, of func(schemaKey) schemaObject) {
	t.Helper()
	text, err := experiment.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Defs map[string]schemaObject `json:"$defs"`
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s.Defs["Claim"], func(k schemaKey) schemaObject { return s.Defs[strings.TrimPrefix(k.Ref, "#/$defs/")] }
}

// claimKinds are the kinds in the order of the source, with the keys of each.
func claimKinds() (kinds []string, keys map[string][]string) {
	keys = map[string][]string{}
	for _, f := range strict.Fields(reflect.TypeFor[experiment.Claim]()) {
		if f.Type.Kind() != reflect.Pointer {
			continue // the name of a claim
		}
		kinds = append(kinds, f.Key)
		for _, key := range strict.Fields(f.Type.Elem()) {
			keys[f.Key] = append(keys[f.Key], key.Key)
		}
	}
	return kinds, keys
}

// sentence is what a kind claims, and the page that the schema names for it.
func (k schemaKey) sentence() (text, page string) {
	text, page, _ = strings.Cut(strings.TrimSuffix(k.Description, ")."), " (")
	return text, page
}

var (
	absentClause = regexp.MustCompile(`(?i)[;.] absent (?:means|is) (.*?)\.?$`)
	directions   = regexp.MustCompile(`(?i)\b(at most\b|at least\b|within \d+%|exactly\b|never\b|always\b|only\b)`)
)

// A keyRow is what a page says of one key.
type keyRow struct{ key, takes, absent, holds, says string }

func rowOf(key string, k schemaKey, required bool) (keyRow, error) {
	r := keyRow{key: key, says: k.Description, takes: k.takes(key), holds: "–"}
	if at := absentClause.FindStringSubmatchIndex(k.Description); at != nil {
		r.says, r.absent = k.Description[:at[0]]+".", k.Description[at[2]:at[3]]
	}
	switch {
	case required && r.absent != "":
		return r, fmt.Errorf("%s is required, and its text says what absent means", key)
	case required:
		r.absent = "required"
	case r.absent == "":
		return r, fmt.Errorf("the text of %s does not say what absent means: %q", key, k.Description)
	case len(k.Default) > 0 && !slices.Equal(wordsOf(string(k.Default)), wordsOf(r.absent)):
		return r, fmt.Errorf("the text of %s says that absent means %s, the schema has %s", key, r.absent, k.Default)
	}
	if found := directions.FindAllString(strings.ToLower(r.says), -1); found != nil {
		slices.Sort(found)
		r.holds = strings.Join(slices.Compact(found), ", ")
	}
	return r, nil
}

// wordsOf is a value without its punctuation: [429,502] and 429, 502 are the same.
func wordsOf(text string) []string {
	return regexp.MustCompile(`[\w.%]+`).FindAllString(text, -1)
}

// takes is how the values of a key are written.
func (k schemaKey) takes(key string) string {
	switch {
	case k.OneOf != nil:
		return "a name, or a list"
	case k.Type == "integer":
		return "a whole number"
	case k.Type == "number":
		return "a number"
	case k.Type == "boolean":
		return "true"
	case k.Type == "array":
		return "a list"
	case k.Type == "object":
		return "names with numbers"
	case k.Pattern == "" && (key == "link" || key == "route" || key == "without" || key == "target" || key == "region"):
		return "a name"
	case k.Pattern == "":
		return "a word"
	}
	for _, example := range []string{"500ms", "95%", "800/s", "10MiB/h", "10%/h", "3/h"} {
		if regexp.MustCompile(k.Pattern).MatchString(example) {
			return "like " + example
		}
	}
	return ""
}

// keyTable is the part of a claim's page that is from the schema.
func keyTable(sentence string, rows []keyRow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n**%s.**\n\n| key | takes | absent | holds if | what it is |\n| --- | --- | --- | --- | --- |\n", keysBegin, sentence)
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.key, r.takes, r.absent, r.holds, r.says)
	}
	return b.String() + "\n" + keysEnd
}

// keyRows are the rows of all keys of a kind.
func keyRows(t *testing.T, object schemaObject, keys []string) (rows []keyRow) {
	t.Helper()
	for _, key := range keys {
		k, ok := object.Properties[key]
		if !ok {
			t.Errorf("the schema lacks %s", key)
			continue
		}
		r, err := rowOf(key, k, slices.Contains(object.Required, key))
		if err != nil {
			t.Error(err)
		}
		if r.takes == "" {
			t.Errorf("%s: nothing says how it is written: %+v", key, k)
		}
		rows = append(rows, r)
	}
	return rows
}

// TestClaimPages compares the pages with the schema: each claim has a page with
// all its keys, and the index has a line for each.
func TestClaimPages(t *testing.T) {
	claims, of := claimSchema(t)
	kinds, keys := claimKinds()
	var index strings.Builder
	fmt.Fprintf(&index, "%s\n\n| claim | says |\n| --- | --- |\n", keysBegin)
	for _, kind := range kinds {
		sentence, page := claims.Properties[kind].sentence()
		if page != "docs/claims/"+kind+".md" {
			t.Errorf("the schema's text of %s names %q, not its page", kind, page)
		}
		rows := keyRows(t, of(claims.Properties[kind]), keys[kind])
		if len(rows) == 0 {
			t.Errorf("%s has %d keys; the walk is broken", kind, len(rows))
		}
		comparePage(t, filepath.Join(claimDocs, kind+".md"), keyTable(sentence, rows))
		fmt.Fprintf(&index, "| [`%s`](%s.md) | %s |\n", kind, kind, sentence)
	}
	comparePage(t, filepath.Join(claimDocs, "README.md"), index.String()+"\n"+keysEnd)
}

// comparePage compares what stands between the two marks of a claim's page.
func comparePage(t *testing.T, file, want string) {
	t.Helper()
	compareBetween(t, file, keysBegin, want)
}

// compareBetween compares what stands between begin and keysEnd, both included, or
// writes it.
func compareBetween(t *testing.T, file, begin, want string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
		return
	}
	before, rest, begun := strings.Cut(string(text), begin)
	got, after, ended := strings.Cut(rest, keysEnd)
	switch {
	case !begun || !ended:
		t.Errorf("%s has not the two marks around what is from the schema", file)
	case begin+got+keysEnd == want:
	case *update:
		if err := os.WriteFile(file, []byte(before+want+after), 0o644); err != nil {
			t.Error(err)
		}
	default:
		is, should := strings.Split(begin+got+keysEnd, "\n"), strings.Split(want, "\n")
		at := 0
		for at < min(len(is), len(should)) && is[at] == should[at] {
			at++
		}
		t.Errorf("%s is not what the schema says; with -update it is written anew. First:\ngot  %s\nwant %s", file,
			strings.Join(is[at:min(at+2, len(is))], "\n"), strings.Join(should[at:min(at+2, len(should))], "\n"))
	}
}

// What a page calls "at most" is so: the lies about the examples go the same way,
// and are refuted in make rulings.
func TestClaimPagesNameTheDirection(t *testing.T) {
	claims, of := claimSchema(t)
	checked := 0
	for _, all := range truths {
		for _, truth := range all {
			if truth.words != nil {
				continue
			}
			kind, key, _ := strings.Cut(truth.key, ".")
			if key == "" { // a claim as a whole
				continue
			}
			object := of(claims.Properties[kind])
			r, err := rowOf(key, object.Properties[key], slices.Contains(object.Required, key))
			if err != nil {
				t.Error(err)
			}
			want := "within "
			switch {
			case truth.most:
				want = "at most"
			case truth.least:
				want = "at least"
			}
			if checked++; !strings.HasPrefix(r.holds, want) {
				t.Errorf("%s is %q on its page, and judged as %q", truth.key, r.holds, want)
			}
		}
	}
	if checked < 15 {
		t.Errorf("%d numbers compared; the search is broken", checked)
	}
}

// The pages are found: from the README and the map, and each names its claim's
// experiments, which are there.
func TestClaimPagesAreLinked(t *testing.T) {
	kinds, _ := claimKinds()
	for file, links := range map[string][]string{
		"../../README.md": kinds, "../../docs/architecture.md": nil, "../../docs/rulings.md": nil, "../../CONTRIBUTING.md": nil,
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "claims/") {
			t.Errorf("%s does not link to docs/claims", file)
		}
		for _, kind := range links {
			if !strings.Contains(string(text), "docs/claims/"+kind+".md") {
				t.Errorf("%s does not link to the page of %s", file, kind)
			}
		}
	}
	files := regexp.MustCompile(`examples/[\w/-]+\.yaml`)
	for _, kind := range kinds {
		text, err := os.ReadFile(filepath.Join(claimDocs, kind+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		named := files.FindAllString(string(text), -1)
		for _, file := range named {
			if _, err := os.Stat(filepath.Join("../..", file)); err != nil {
				t.Errorf("%s.md: %v", kind, err)
			}
		}
		if len(named) == 0 {
			t.Errorf("%s.md names no experiment", kind)
		}
	}
}

// A text that lacks what a page needs is noticed.
func TestRowOf(t *testing.T) {
	for _, c := range []struct {
		text     string
		fallback string // the schema's default
		required bool
		want     keyRow // without key and takes; the zero one is an error
	}{
		{"At most so many; absent is not judged.", "", false, keyRow{absent: "not judged", holds: "at most", says: "At most so many."}},
		{"How long, within 5%. Absent means none, so it grows.", "", false,
			keyRow{absent: "none, so it grows", holds: "within 5%", says: "How long, within 5%."}},
		{"The link.", "", true, keyRow{absent: "required", holds: "–", says: "The link."}},
		{"Which; absent means 429, 502.", "[429,502]", false, keyRow{absent: "429, 502", holds: "–", says: "Which."}},
		{"Which; absent means 429.", "[429,502]", false, keyRow{}},
		{"Which.", "", false, keyRow{}},
		{"Which; absent means all.", "", true, keyRow{}},
	} {
		got, err := rowOf("key", schemaKey{Description: c.text, Default: json.RawMessage(c.fallback)}, c.required)
		if (err == nil) != (c.want != keyRow{}) {
			t.Errorf("%q: got error %v", c.text, err)
			continue
		}
		if got.key, got.takes = "", ""; err == nil && got != c.want {
			t.Errorf("%q: got %+v, want %+v", c.text, got, c.want)
		}
	}
}

// The claim at the top of a page is one that an experiment may make.
func TestClaimPagesShowClaims(t *testing.T) {
	const file = `name: docs
targets: {shop: {url: "http://127.0.0.1:8080"}, bank: {reference: dependency}}
links: {payments: {from: shop, to: bank}, one: {from: shop, to: bank}, two: {from: shop, to: bank}, db: {from: shop, to: bank, protocol: tcp, greeting: postgres}}
load:
  rate: 100/s
  duration: 60s
  keys: 10
  routes:
    - {name: buy, to: shop, get: /buy}
    - {name: browse, to: shop, get: /}
    - {name: reprice, to: shop, put: "/price/${key}", body: "${id}", writes: price}
    - {name: look, to: shop, get: "/price/${key}", reads: {price: "json:$.v"}}
    - {name: order, to: shop, post: "/order/${id}", writes: order}
  audit: [{name: orders, to: shop, get: /orders, ids: "json:$[*].id"}]
chaos: [{at: 10s, for: 10s, on: payments, partition: {}}, {at: 30s, for: 10s, on: bank, kill: {}}]
`
	kinds, _ := claimKinds()
	for _, kind := range kinds {
		text, err := os.ReadFile(filepath.Join(claimDocs, kind+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		_, block, _ := strings.Cut(string(text), "```yaml\n")
		block, _, _ = strings.Cut(block, "```")
		x, err := experiment.Parse("docs", []byte(file+block), experiment.Options{References: []string{"dependency"}})
		if err != nil {
			t.Errorf("%s.md: %v\n%s", kind, err, block)
		} else if len(x.Claims) == 0 || slices.ContainsFunc(x.Claims, func(c experiment.Claim) bool { return c.Kind() != kind }) {
			t.Errorf("%s.md shows no claim of its kind:\n%s", kind, block)
		}
	}
}
