package reports

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIndented(t *testing.T) {
	type object = map[string]any
	v := object{
		"empty": object{}, "none": []int{}, "nil": nil, "text": `a "[1,2]" \`, "n": 1.5,
		"figures": []any{1, -2.5e-9, nil, true}, "points": []object{{"x": 1, "y": nil}, {"x]": 2}},
		"words": []string{"a"}, "mixed": []any{1, "a"}, "within": []object{{"x": 1, "s": "a"}}, "deep": [][]int{{1, 2}, {3}},
		"objects": []object{{"o": object{"x": 1}}},
	}
	got, err := indented(v)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "deep": [
    [1,2],
    [3]
  ],
  "empty": {},
  "figures": [1,-2.5e-9,null,true],
  "mixed": [
    1,
    "a"
  ],
  "n": 1.5,
  "nil": null,
  "none": [],
  "objects": [
    {
      "o": {
        "x": 1
      }
    }
  ],
  "points": [{"x":1,"y":null},{"x]":2}],
  "text": "a \"[1,2]\" \\",
  "within": [
    {
      "s": "a",
      "x": 1
    }
  ],
  "words": [
    "a"
  ]
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if _, err := indented(func() {}); err == nil {
		t.Error("a function was written")
	}
}

// It changes white space alone, of any document.
func FuzzIndented(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":2}],"c":"\"]\\"}`))
	f.Add([]byte(`[[],{},[{}],[null,{"":{}}]]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var v any
		if json.Unmarshal(text, &v) != nil {
			return
		}
		got, err := indented(v)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := json.Marshal(v)
		var back bytes.Buffer
		if err := json.Compact(&back, got); err != nil || !bytes.Equal(back.Bytes(), want) {
			t.Errorf("%s is written as %s: %v", want, got, err)
		}
	})
}
