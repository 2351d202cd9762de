package experiment

import (
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// span finds something wrong with a key that is not there.
type span struct {
	Least int `yaml:"least"`
	Most  int `yaml:"most"`
}

func (s span) Check(report func(field, problem string)) {
	if s.Most < s.Least {
		report("most", "must not be less than least")
	}
}

func TestReadValue(t *testing.T) {
	var errors toxic.Errors
	if err := ReadValue("x", []byte(`{"status": [502, 503], "share": "5%"}`), &errors); err != nil {
		t.Fatal(err)
	}
	if got, want := errors.String(), "errors 502 or 503 to 5%"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for text, want := range map[string]string{
		`{}`:                           "x:1:1: status: is missing",
		``:                             "x:1:1: the file is empty",
		`{status: 99}`:                 "x:1:10: status: 99 must be 200 to 599",
		`{status: 503, shar: 5%}`:      `x:1:15: unknown key "shar": did you mean "share"?`,
		`{status: 503, share: 0%}`:     "x:1:22: share: must be more than 0%",
		`{status: 503, match: {}}`:     "x:1:15: match: needs at least one of",
		`{status: 503, body: [1]}`:     "x:1:21: body: must be one value, not a list",
		`{status: 204, body: "there"}`: "x:1:21: body: a 204 has no body",
	} {
		err := ReadValue("x", []byte(text), new(toxic.Errors))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	if err := ReadValue("x", []byte(`{least: 5}`), new(span)); err == nil || err.Error() != "x:1:1: most: must not be less than least" {
		t.Errorf("got %v", err)
	}
	if err := ReadValue("x", nil, 5); err == nil {
		t.Error("5 can be read into")
	}
}
