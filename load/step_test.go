package load

import (
	"strings"
	"testing"
	"time"
)

// The plan decides when a step is due, and a late predecessor does not: but
// nothing is due in the future of its cause.
func TestStepIsDue(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name                        string
		after, intended, now, wants time.Duration
	}{
		{"as expected", 10 * ms, 100 * ms, 110 * ms, 110 * ms},
		{"after a stall of 300 ms", 10 * ms, 100 * ms, 400 * ms, 110 * ms},
		{"sooner than expected", 10 * ms, 100 * ms, 103 * ms, 103 * ms},
		{"nothing expected", 0, 100 * ms, 103 * ms, 100 * ms},
	} {
		w := preparedRequest{after: tt.after}
		if got := w.due(tt.intended, tt.now); got != tt.wants {
			t.Errorf("%s: due at %v, want %v", tt.name, got, tt.wants)
		}
	}
}

func TestTakes(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nLocation: /a?b\r\nlocation: /c\r\nEmpty:\r\n\r\n"
	const body = `{"token":"t-1","n":1.50,"ok":true,"no":null,"a":{"b":["x"]},"text":"line\nline"}`
	for _, tt := range []struct {
		what, want string
		found      bool
	}{
		{"header:LOCATION", "/a?b", true},
		{"header:Empty", "", true},
		{"header:Other", "", false},
		{"json:$.token", "t-1", true},
		{"json:$.n", "1.50", true},
		{"json:$.ok", "true", true},
		{"json:$.a.b[0]", "x", true},
		{"json:$.no", "", false},
		{"json:$.a", "", false},
		{"json:$.other", "", false},
		{"json:$.text", "", false}, // a control character could end a header
		{`body~"token":"([^"]+)"`, "t-1", true},
		{"body~t-[0-9]", "t-1", true},
		{"body~t-[2-9]", "", false},
	} {
		t.Run(tt.what, func(t *testing.T) {
			var w preparedRequest
			if i, err := w.extract(tt.what); i != 0 || err != nil {
				t.Fatal(i, err)
			}
			got, passed := took(t, w.checks, head, body)
			if passed != tt.found || passed && got[0] != tt.want {
				t.Errorf("got %q, %t, want %q, %t", got, passed, tt.want, tt.found)
			}
		})
	}
	var w preparedRequest
	for _, what := range []string{"json:$.token", "header:Location", "body~n"} {
		if _, err := w.extract(what); err != nil {
			t.Fatal(err)
		}
	}
	if got, passed := took(t, w.checks, head, body); !passed || strings.Join(got, " ") != "t-1 /a?b n" {
		t.Errorf("three at once: got %q, %t", got, passed)
	}
	// An answer that is not OK has no step behind it, so it need not have anything.
	if got, passed := took(t, w.checks, "HTTP/1.1 404 Not Found\r\n\r\n", ""); !passed || got != nil {
		t.Errorf("404: got %q, %t", got, passed)
	}
}

func TestStepsRefused(t *testing.T) {
	plan := func(steps ...Step) Plan {
		return Plan{Schedule: together(1), Run: 1, Routes: []Route{{Addr: "127.0.0.1:1", Then: steps}}}
	}
	for _, tt := range []struct {
		name string
		plan Plan
		want string
	}{
		{"nothing before", Plan{Schedule: together(1), Routes: []Route{{Addr: "127.0.0.1:1", Path: "/${prev.json:$.a}"}}}, "there is no response before this request"},
		{"unknown", plan(Step{Path: "/${prev.cookie:a}"}), "step 1: path: placeholder ${prev.cookie:a}: write prev.json:$.token"},
		{"no header", plan(Step{}, Step{Path: "/${prev.header:}"}), "step 2: path: placeholder ${prev.header:}: write"},
		{"bad path", plan(Step{Body: []byte("${prev.json:a}")}), `"a" is not a path`},
		{"bad expression", plan(Step{Headers: [][2]string{{"X", "${prev.body~(}"}}}), "missing closing )"},
		{"bad check", plan(Step{Checks: []Check{{Want: "x"}}}), "step 1: check: "},
		{"bad method", plan(Step{Method: "A B"}), "step 1: method"},
		{"before its cause", plan(Step{After: -1}), "step 1: -1ns is before the request it follows"},
	} {
		if _, err := prepare(tt.plan); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want %q in it", tt.name, err, tt.want)
		}
	}
}
