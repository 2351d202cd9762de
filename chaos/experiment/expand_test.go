package experiment

import (
	"testing"

	"pgregory.net/rapid"
)

func TestExpand(t *testing.T) {
	lookup := func(name string) (string, bool) {
		value, ok := map[string]string{"port": "80", "links.pay.url": "http://x", "empty": "", "again": "${port}"}[name]
		return value, ok
	}
	for _, row := range []struct{ text, want, err string }{
		{"", "", ""},
		{"plain", "plain", ""},
		{"${port}", "80", ""},
		{"a${port}b${port}c", "a80b80c", ""},
		{"to ${links.pay.url}/", "to http://x/", ""},
		{"[${empty}]", "[]", ""},
		{"${again}", "${port}", ""}, // a value is not looked through
		{"$port $ $5 $", "$port $ $5 $", ""},
		{"$${port}", "${port}", ""},
		{"$${port} ${port}", "${port} 80", ""},
		{"$$${port}", "$${port}", ""}, // a $, and then the escape
		{"{port}", "{port}", ""},
		{"line ${port}\nline $${x}", "line 80\nline ${x}", ""},
		{"${prot} ${port} ${x}", "", "unknown variable ${prot}\nunknown variable ${x}"},
		{"${}", "", "unknown variable ${}"},
		{"${port", "", `"${port" is not closed`},
		{"${port\n}", "", `"${port" is not closed`},
	} {
		got, err := Expand(row.text, lookup)
		switch {
		case row.err != "":
			if err == nil || err.Error() != row.err {
				t.Errorf("%q: error %v, want %s", row.text, err, row.err)
			}
		case err != nil || got != row.want:
			t.Errorf("%q: %q, %v; want %q", row.text, got, err, row.want)
		}
	}
}

// What the check of a file lets through, the run can replace.
func TestExpandKnowsWhatTheCheckKnows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("${}p\n"))).Draw(t, "text")
		var open, unknown int
		for _, v := range variables(text) {
			switch {
			case v.open:
				open++
			case v.name != "p":
				unknown++
			}
		}
		_, err := Expand(text, func(name string) (string, bool) { return "", name == "p" })
		if (err != nil) != (open+unknown > 0) {
			t.Fatalf("%q: %d open, %d unknown, and Expand says %v", text, open, unknown, err)
		}
	})
}
