package load

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/load/wire"
)

func TestParseCheck(t *testing.T) {
	for text, want := range map[string]Check{
		"status=200, 3xx":       {Want: "200, 3xx"},
		"header:X-Cache":        {Of: CheckHeader, Name: "X-Cache", Test: Present},
		"header:X=a~b=c":        {Of: CheckHeader, Name: "X", Test: Equals, Want: "a~b=c"},
		"header:X=":             {Of: CheckHeader, Name: "X", Test: Equals},
		`header:X~" a"`:         {Of: CheckHeader, Name: "X", Test: Contains, Want: " a"},
		`body~"ok"`:             {Of: CheckBody, Test: Contains, Want: "ok"},
		"body~ok":               {Of: CheckBody, Test: Contains, Want: "ok"},
		`body~"\"\n"`:           {Of: CheckBody, Test: Contains, Want: "\"\n"},
		`body~"`:                {Of: CheckBody, Test: Contains, Want: `"`},
		"body~/a/b/":            {Of: CheckBody, Test: Matches, Want: "a/b"},
		"body~/a":               {Of: CheckBody, Test: Contains, Want: "/a"},
		"body~//":               {Of: CheckBody, Test: Contains, Want: "//"},
		"json:$.state=ready":    {Of: CheckJSON, Name: "$.state", Want: "ready"},
		`json:$.a[0]["b"]="1="`: {Of: CheckJSON, Name: `$.a[0]["b"]`, Want: `"1="`},
	} {
		got, err := ParseCheck(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v, -want +got:\n%s", text, err, diff)
		}
	}
}

func TestParseCheckRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "is not a check; write one like status=2xx",
		"status":           "is not a check; write one like status=2xx",
		"stauts=200":       "is not a check; write one like status=2xx",
		"body=x":           "is not a check",
		"json:$.a":         "is not a check",
		"status=":          `"" is not a status like 200 or 2xx`,
		"status=20":        `"20" is not a status`,
		"status=2xx,":      `"" is not a status`,
		"status=x2x":       `"x2x" is not a status`,
		"status=xx2":       `"xx2" is not a status`,
		"status=099":       `"099" is not a status`,
		"status=+20":       `"+20" is not a status`,
		"header:":          `"" is not a header name`,
		"header:A B=c":     `"A B" is not a header name`,
		"header:A~":        "it holds of everything",
		"body~":            "it holds of everything",
		`body~""`:          "it holds of everything",
		"body~/(/":         "missing closing )",
		"json:state=ready": `"state" is not a path like $.a.b[0].c`,
		"json:=1":          "is not a path",
		"json:$a=1":        "is not a path",
		"json:$.=1":        "is not a path",
		"json:$..a=1":      "is not a path",
		"json:$.a[x]=1":    "is not a path",
		"json:$.a[-1]=1":   "is not a path",
		"json:$.a[0=1":     "is not a path",
		`json:$["a=1`:      "is not a path",
		`json:$["a"=1`:     "is not a path",
	} {
		if c, err := ParseCheck(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %+v and error %v, want %q in it", text, c, err, want)
		}
	}
	if _, err := compile([]Check{{Of: CheckBody, Test: Present}}); err == nil {
		t.Error("a check that there is not: no error")
	}
	if _, err := compile([]Check{{Want: "200"}, {Want: "404"}}); err == nil {
		t.Error("two lists of statuses, which no response can be in both of: no error")
	}
}

func TestChecks(t *testing.T) {
	const doc = `{"state":"ready","n":1.50,"big":9007199254740993,"ok":true,"no":null,"one":"1","a":{"b":[{"c":"x"},[2]]},"a.b":"dotted","e":""}`
	head := "HTTP/1.1 200 OK\r\nX-Cache: miss\r\nx-cache: HIT, stale\r\nEmpty:\r\n\r\n"
	for _, tt := range []struct {
		check string
		body  string // "" means doc
		want  bool
	}{
		{check: "status=200", want: true},
		{check: "status=2xx", want: true},
		{check: "status=404,2xx", want: true},
		{check: "status=201,3xx", want: false},
		{check: "header:X-CACHE", want: true},
		{check: "header:Empty", want: true},
		{check: "header:X-Other", want: false},
		{check: "header:x-cache=miss", want: true},
		{check: "header:x-cache=HIT, stale", want: true},
		{check: "header:x-cache=hit", want: false},
		{check: "header:Empty=", want: true},
		{check: "header:x-cache~stale", want: true},
		{check: "header:x-cache~fresh", want: false},
		{check: "body~ready", want: true},
		{check: "body~Ready", want: false},
		{check: `body~/"n":\d\.5/`, want: true},
		{check: "body~/^n/", want: false},
		{check: "json:$.state=ready", want: true},
		{check: `json:$.state="ready"`, want: true},
		{check: "json:$.state=read", want: false},
		{check: "json:$.other=ready", want: false},
		{check: "json:$.n=1.5", want: true},
		{check: "json:$.n=15e-1", want: true},
		{check: "json:$.n=1.51", want: false},
		{check: `json:$.n="1.50"`, want: false},
		{check: "json:$.big=9007199254740993", want: true},
		{check: "json:$.big=9007199254740992", want: false}, // the same float64
		{check: "json:$.ok=true", want: true},
		{check: "json:$.ok=false", want: false},
		{check: `json:$.ok="true"`, want: false},
		{check: "json:$.no=null", want: true},
		{check: "json:$.none=null", want: false}, // it is not there
		{check: "json:$.one=1", want: false},     // it is a string
		{check: `json:$.one="1"`, want: true},
		{check: "json:$.e=", want: true},
		{check: "json:$.a.b[0].c=x", want: true},
		{check: "json:$.a.b[1][0]=2", want: true},
		{check: "json:$.a.b[2]=x", want: false},
		{check: "json:$.a[0]=x", want: false},
		{check: "json:$.state.x=ready", want: false},
		{check: `json:$["a.b"]=dotted`, want: true},
		{check: `json:$["a"].b[0]["c"]=x`, want: true},
		{check: "json:$.a=x", want: false},
		{check: "json:$=5", body: " 5\n", want: true},
		{check: "json:$[1]=b", body: `["a","b"]`, want: true},
		{check: "json:$=5", body: "5 6", want: false},
		{check: "json:$.a=1", body: "<html>", want: false},
		{check: "json:$.a=1", body: `{"a":1`, want: false},
		{check: "json:$=1e999", body: "1e999", want: true},
		{check: "json:$=1e998", body: "1e999", want: false},
	} {
		t.Run(tt.check, func(t *testing.T) {
			body := tt.body
			if body == "" {
				body = doc
			}
			c, err := ParseCheck(tt.check)
			if err != nil {
				t.Fatal(err)
			}
			if got := reviewed(t, []Check{c}, head, body); got != tt.want {
				t.Errorf("holds: %t, want %t", got, tt.want)
			}
		})
	}
}

// reviewed puts a response through a review, its body byte by byte.
func reviewed(t *testing.T, list []Check, head, body string) bool {
	t.Helper()
	c, err := compile(list)
	if err != nil {
		t.Fatal(err)
	}
	_, passed := took(t, c, head, body)
	return passed
}

// took is reviewed with what was taken for the next step.
func took(t *testing.T, c *checks, head, body string) (extracted []string, passed bool) {
	t.Helper()
	var response wire.Response
	if n, err := response.Parse([]byte(head), false); n != len(head) || err != nil {
		t.Fatal(n, err)
	}
	var r responseCheck
	r.begin(c)
	r.head(response.Status, response.Fields)
	for i := range len(body) {
		if r.wantsBody() {
			r.payload([]byte(body[i : i+1]))
		}
	}
	passed = r.passed()
	return r.extracted, passed
}

func TestAllChecksMustHold(t *testing.T) {
	right := []Check{{Want: "2xx"}, {Of: CheckHeader, Name: "A", Test: Present}, {Of: CheckBody, Test: Contains, Want: "o"}, {Of: CheckBody, Test: Contains, Want: "k"}}
	for _, tt := range []struct {
		head, body string
		want       bool
	}{
		{"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "ok", true},
		{"HTTP/1.1 500 OK\r\nA: b\r\n\r\n", "ok", false},
		{"HTTP/1.1 200 OK\r\nB: b\r\n\r\n", "ok", false},
		{"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "oh", false},
		{"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "k", false},
		{"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "", false},
	} {
		if got := reviewed(t, right, tt.head, tt.body); got != tt.want {
			t.Errorf("%q %q: %t, want %t", tt.head, tt.body, got, tt.want)
		}
	}
}

// A review is used again: nothing of one response may count for the next, and
// a large body's memory is given back.
func TestReviewIsUsedAgain(t *testing.T) {
	c, err := compile([]Check{{Of: CheckBody, Test: Contains, Want: "ok"}})
	if err != nil {
		t.Fatal(err)
	}
	var r responseCheck
	for _, tt := range []struct {
		what, body string
		checks     *checks
		want       bool
	}{
		{"right", "ok", c, true},
		{"wrong", "no", c, false},
		{"right again", "ok", c, true},
		{"without checks", "no", nil, true},
		{"as long as may be", strings.Repeat("x", maxBody-2) + "ok", c, true},
		{"longer", "ok" + strings.Repeat("x", maxBody-1), c, false},
		{"right after that", "ok", c, true},
	} {
		r.begin(tt.checks)
		r.head(200, nil)
		for body := []byte(tt.body); len(body) > 0; body = body[min(len(body), 1000):] {
			if r.wantsBody() {
				r.payload(body[:min(len(body), 1000)])
			}
		}
		if got := r.passed(); got != tt.want || cap(r.kept) > keepBody {
			t.Errorf("%s: %t, want %t; %d bytes are kept", tt.what, got, tt.want, cap(r.kept))
		}
	}
}

func TestReviewDoesNotAllocate(t *testing.T) {
	c, err := compile([]Check{{Want: "2xx"}, {Of: CheckHeader, Name: "content-length", Test: Equals, Want: "2"}, {Of: CheckBody, Test: Contains, Want: "ok"}})
	if err != nil {
		t.Fatal(err)
	}
	var response wire.Response
	if _, err := response.Parse([]byte(okAnswer), false); err != nil {
		t.Fatal(err)
	}
	var r responseCheck
	body, right := []byte("ok"), true
	if n := testing.AllocsPerRun(100, func() {
		r.begin(c)
		r.head(response.Status, response.Fields)
		r.payload(body)
		right = r.passed() && right
	}); n != 0 || !right {
		t.Errorf("%v allocations, right: %t", n, right)
	}
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
