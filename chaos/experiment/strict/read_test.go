package strict

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/chaos/unit"
)

// answer says all that a type may say about itself.
type answer struct {
	Status  statuses      `yaml:"status"`
	Body    string        `yaml:"body"`
	After   time.Duration `yaml:"after"`
	Choice  `yaml:",inline"`
	Headers map[string]string `yaml:"headers"`
}

type statuses []int

type Choice struct {
	Share unit.Share `yaml:"share"`
	Match *match     `yaml:"match"`
}

type match struct {
	Least int `yaml:"least"`
	Most  int `yaml:"most"`
}

func (answer) Required() []string { return []string{"status"} }

func (a answer) Check(report func(field, problem string)) {
	if len(a.Status) > 0 && a.Status[0] == 204 && a.Body != "" {
		report("body", "a 204 has no body")
	}
}

func (answer) Refuse(key string) (problem, hint string) {
	if key == "code" {
		return "code: is called status", "write status: 503"
	}
	return "", ""
}

func (c *Choice) Defaults() { c.Share = 1 }

func (c Choice) Check(report func(field, problem string)) {
	if c.Share == 0 {
		report("share", "must be more than 0%")
	}
}

// Check finds something wrong with a key that need not be there.
func (m match) Check(report func(field, problem string)) {
	if m.Most < m.Least {
		report("most", "must not be less than least")
	}
}

var ofAnswers = Subject{Name: "an answer", Map: "an answer is a map with status", Empty: "an answer has at least a status", Set: "write KEY=VALUE"}

func TestRead(t *testing.T) {
	var got answer
	text := `{"status": 503, "share": "5%", "headers": {"A": yes}, "match": {"most": 2}}`
	d := Read(ofAnswers, "x", []byte(text), []string{"status=[502, 503]", "after=2s"}, &got)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	want := answer{Status: statuses{502, 503}, After: 2 * time.Second, Choice: Choice{Share: 0.05, Match: &match{Most: 2}}, Headers: map[string]string{"A": "yes"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !d.Has("match.most") || d.Has("match.least") || !d.Sound("status[1]") {
		t.Error("what the file has is not known")
	}
	if diff := cmp.Diff([]string{"share", "match"}, d.Given("", []string{"match", "body", "share"})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"most"}, d.Keys("match")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	text2, err := Marshal(&got)
	if err != nil {
		t.Fatal(err)
	}
	var again answer
	if err := Read(ofAnswers, "x", text2, nil, &again).Err(); err != nil {
		t.Fatalf("%v\n%s", err, text2)
	}
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("-read +read back:\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                            "x:1:1: status: is missing: add status: 1",
		``:                              "x:1:1: the file is empty: an answer has at least a status",
		`# nothing`:                     "x:1:1: the file is empty: an answer has at least a status",
		`[503]`:                         "x:1:1: an answer must be a map, not a list: keys are status, body, after, share, match, headers",
		`~`:                             "x:1:1: the file holds no value: an answer is a map with status",
		`{status: x}`:                   `x:1:10: status: "x" is not a whole number: write it in plain digits, like 5`,
		`{status: 503, shar: 5%}`:       `x:1:15: unknown key "shar": did you mean "share"?`,
		`{status: 503, code: 5}`:        "x:1:15: code: is called status: write status: 503",
		`{status: 503, share: 0%}`:      "x:1:22: share: must be more than 0%",
		`{status: 503, after: 5}`:       `x:1:22: after: "5" is not a duration: write it with a unit, like 250ms, 10s or 1m30s`,
		`{status: 503, match: {l: 5}}`:  `x:1:23: unknown key "l": valid keys are least, most`,
		`{status: 503, body: [1]}`:      "x:1:21: body: must be one value, not a list",
		`{status: 204, body: "there"}`:  "x:1:21: body: a 204 has no body",
		`{status: 5, match: {least: 5}`: "x:2:1: did not find expected ',' or '}' of the brackets opened at 1:1: separate entries with commas and close the brackets",
		// What is wrong with a key that is not there is reported at the map.
		`{status: 5, match: {least: 5}}`: "x:1:13: match: must not be less than least",
	} {
		err := Read(ofAnswers, "x", []byte(text), nil, new(answer)).Err()
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v\nwant %s", text, err, want)
		}
	}
	err := Read(ofAnswers, "x", []byte("status: 503"), []string{"status"}, new(answer)).Err()
	if want := "--set status: has no value: write KEY=VALUE"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestOneOf(t *testing.T) {
	keys := []string{"body", "after", "share"}
	for text, want := range map[string]string{
		"match: {}":                        "x:1:1: match: has none of body, after or share: give exactly one",
		"match: {share: 1}":                "",
		"match: {share: 1, body: 2}":       "x:1:19: body: does not go with share: give exactly one of body, after or share",
		"match: {shar: 1}":                 "x:1:9: unknown key",
		"match: {after: 1, \n  body: 2, }": "x:2:3: body: does not go with after: give exactly one of body, after or share",
	} {
		type of struct {
			Body  string `yaml:"body"`
			After string `yaml:"after"`
			Share string `yaml:"share"`
		}
		d := Read(Subject{}, "x", []byte(text), nil, &struct {
			Match of `yaml:"match"`
		}{})
		d.OneOf("match", keys)
		err := d.Err()
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// A file that is something else altogether is not reported line by line.
func TestErrorsAreBounded(t *testing.T) {
	err := Read(ofAnswers, "x", []byte(strings.Repeat("? [a]\n", 300)), nil, new(answer)).Err()
	var errs Errors
	if errors.As(err, &errs); len(errs) != maxErrors+1 {
		t.Fatalf("%d errors, want %d and one for the rest", len(errs), maxErrors)
	}
	last := errs[maxErrors]
	if want := "100 more errors are not told"; last.Problem != want || last.Line != maxErrors {
		t.Errorf("the last is %v, want %q at line %d", last, want, maxErrors)
	}
}
