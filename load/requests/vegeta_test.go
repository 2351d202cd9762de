package requests

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// files gives what is asked for, in words.
func files(name string) ([]byte, error) {
	if name == "missing" {
		return nil, fs.ErrNotExist
	}
	return []byte("content of " + name), nil
}

func TestReadVegeta(t *testing.T) {
	get := Request{Method: "GET", Scheme: "http", Host: "a:1", Path: "/x", Weight: 1}
	for _, tt := range []struct {
		name, text string
		want       []Request
	}{
		{"one line", "GET http://a:1/x", []Request{get}},
		{"lines in a row", "GET http://a:1/x\nGET http://a:1/x\n", []Request{get, get}},
		{"blank lines and comments", "\n# dragon balls\n\nGET http://a:1/x\n\n\n# more\nGET http://a:1/x\n\n", []Request{get, get}},
		{"CRLF", "GET http://a:1/x\r\n\r\nGET http://a:1/x\r\n", []Request{get, get}},
		{
			"headers and body", "POST http://a:1/x?q=1#part\nX-Id:  5 \nx-id: a:b\n# in between\n@dir/my file\nGET http://a:1/x",
			[]Request{{Method: "POST", Scheme: "http", Host: "a:1", Path: "/x?q=1", Headers: [][2]string{{"X-Id", "5"}, {"x-id", "a:b"}}, Body: []byte("content of dir/my file"), Weight: 1}, get},
		},
		{
			"what net/http says itself", "PUT HTTPS://a?q\nContent-Length: 5\ntransfer-encoding: chunked\nHost: b",
			[]Request{{Method: "PUT", Scheme: "https", Host: "a", Path: "/?q", Headers: [][2]string{{"Host", "b"}}, Weight: 1}},
		},
		{"placeholders", "GET http://a:1/${seq}?u=${data.user}", []Request{{Method: "GET", Scheme: "http", Host: "a:1", Path: "/${seq}?u=${data.user}", Weight: 1}}},
		{"a header that holds a URL", "GET http://a:1/x\nReferer: http://b/", []Request{{Method: "GET", Scheme: "http", Host: "a:1", Path: "/x", Headers: [][2]string{{"Referer", "http://b/"}}, Weight: 1}}},
		{
			"JSON", `{"method":"POST","url":"http://a:1/x","body":"aGk=","header":{"X":["1","2"],"A":["3"],"Content-Length":["2"]}}` + "\n\n" + `{"method":"GET","url":"http://a:1/x"}`,
			[]Request{{Method: "POST", Scheme: "http", Host: "a:1", Path: "/x", Headers: [][2]string{{"A", "3"}, {"X", "1"}, {"X", "2"}}, Body: []byte("hi"), Weight: 1}, get},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadVegeta(strings.NewReader(tt.text), files)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestReadVegetaRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "there are no targets"},
		{"only comments", "# GET http://a/\n\n", "there are no targets"},
		{"no URL", "GET\n", `line 1: "GET": a target begins with METHOD URL`},
		{"a path", "\nGET /x\n", `line 2: "GET /x": a target begins with METHOD URL`},
		{"another scheme", "GET ftp://a/\n", `line 1: "ftp://a/" is not a URL like http://host:port/path`},
		{"no host", "GET http:///x\n", `line 1: "http:///x" has no host`},
		{"a user", "GET http://u:p@a/\n", "line 1: a URL with a user"},
		{"a space", "GET http://a/b c\n", "line 1: \"http://a/b c\": byte 0x20 at 10 must be percent-encoded"},
		{"a header without a target", "X: y\n", "line 1: "},
		{"a header after the body", "GET http://a/\n@b\nX: y\n", "line 3: "},
		{"a header of no value", "GET http://a/\nX:\n", `line 2: "X:" is neither a header NAME: VALUE`},
		{"not a header", "GET http://a/\n\nGET http://a/\nGET /b:c\n", "line 4: "},
		{"no such body", "GET http://a/\n@missing\n", "line 2: body: file does not exist"},
		{"broken JSON", "{\"method\":\"GET\",\"url\":\"http://a/\"}\n{\n", "line 2: "},
		{"JSON without method", `{"url":"http://a/"}`, "line 1: the target has no method"},
		{"JSON without URL", `{"method":"GET"}`, `line 1: "" is not a URL`},
		{"JSON with a body as text", `{"method":"GET","url":"http://a/","body":"{}"}`, "line 1: illegal base64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ReadVegeta(strings.NewReader(tt.text), files)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v and error %v, want %q in it", got, err, tt.want)
			}
		})
	}
}

func TestName(t *testing.T) {
	q := Request{Method: "GET", Path: "/a/b?c=d"}
	if got, want := q.Name(), "GET /a/b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
