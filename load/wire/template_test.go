package wire

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTemplate(t *testing.T) {
	const run, seq = 0xabc, 42
	const id = "0000000000000abc000000000000002a"
	const trace = "traceparent: 00-" + id + "-000000000000002a-01\r\n"
	for _, c := range []struct {
		name               string
		method, path, host string
		headers            [][2]string
		body, idHeader     string
		want               string
	}{
		{
			name: "defaults", host: "a:1",
			want: "GET / HTTP/1.1\r\nHost: a:1\r\nUser-Agent: stormctl\r\nX-Request-Id: " + id + "\r\n" + trace + "\r\n",
		}, {
			name: "id everywhere", method: "POST", path: "/o/${id}?x=${id}", host: "a", headers: [][2]string{{"Idempotency-Key", "k-${id}"}}, body: `{"order":"${id}"}`, idHeader: "X-Id",
			want: "POST /o/" + id + "?x=" + id + " HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k-" + id + "\r\nUser-Agent: stormctl\r\nX-Id: " + id + "\r\n" + trace +
				"Content-Length: 44\r\n\r\n" + `{"order":"` + id + `"}`, // 12 + 32
		}, {
			name: "given headers stand", host: "a", method: "PUT", body: "xyz",
			headers: [][2]string{{"host", "b"}, {"user-agent", "u"}, {"x-request-id", "mine"}, {"Traceparent", "00-${id}-1111111111111111-00"}, {"content-length", "3"}},
			want:    "PUT / HTTP/1.1\r\nhost: b\r\nuser-agent: u\r\nx-request-id: mine\r\nTraceparent: 00-" + id + "-1111111111111111-00\r\ncontent-length: 3\r\n\r\nxyz",
		}, {
			name: "POST without body has a length", method: "POST", host: "a",
			want: "POST / HTTP/1.1\r\nHost: a\r\nUser-Agent: stormctl\r\nX-Request-Id: " + id + "\r\n" + trace + "Content-Length: 0\r\n\r\n",
		}, {
			name: "GET with body has one too", host: "a", body: "x",
			want: "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: stormctl\r\nX-Request-Id: " + id + "\r\n" + trace + "Content-Length: 1\r\n\r\nx",
		}, {
			name: "traceparent alone", host: "a", idHeader: "Traceparent",
			want: "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: stormctl\r\n" + trace + "\r\n",
		}, {
			name: "not quite a placeholder", host: "a", path: "/$id$${id", headers: [][2]string{{"A", "$${id}$$${x}${id}}$"}}, idHeader: "Traceparent",
			want: "GET /$id${id HTTP/1.1\r\nHost: a\r\nA: ${id}$${x}" + id + "}$\r\nUser-Agent: stormctl\r\n" + trace + "\r\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			template, err := Encode(c.method, c.path, c.host, c.headers, []byte(c.body), c.idHeader, Fill{Run: run})
			if err != nil {
				t.Fatal(err)
			}
			other := template.Append([]byte("before"), 7) // must leave nothing behind in the template
			if diff := cmp.Diff("before"+strings.ReplaceAll(c.want, "000000000000002a", "0000000000000007"), string(other)); diff != "" || len(other) != len("before")+template.Len() {
				t.Errorf("Len %d: %s", template.Len(), diff)
			}
			got := template.Append(nil, seq)
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Error(diff)
			}
			var r Request
			if n, err := r.Parse(got); err != nil || n+len(c.body)+strings.Count(c.body, Placeholder)*(32-len(Placeholder)) != len(got) {
				t.Errorf("our own parser: %d, %v", n, err)
			} else if n, done, err := r.Body.Next(got[n:]); !done || err != nil {
				t.Errorf("our own parser: body %d, %v", n, err)
			}
			theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(append(got, "GET"...))))
			if err != nil {
				t.Fatal("net/http:", err)
			}
			if body, err := io.ReadAll(theirs.Body); err != nil || string(body) != strings.ReplaceAll(c.body, Placeholder, id) {
				t.Errorf("net/http: body %q, %v", body, err)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, c := range []struct {
		method, path, host string
		headers            [][2]string
		body, idHeader     string
		want               string // part of the error
	}{
		{method: "G T", host: "a", want: `method "G T" is not a token`},
		{method: "GET\r\n", host: "a", want: `method "GET\r\n" is not a token`},
		{method: "CONNECT", host: "a", want: "CONNECT opens a tunnel"},
		{path: "a", host: "a", want: `path "a" does not start with /`},
		{path: "/a b", host: "a", want: "byte 0x20 at 2 must be percent-encoded"},
		{path: "/a\r\nX: y", host: "a", want: "byte 0x0d at 2"},
		{path: "/\x00", host: "a", want: "byte 0x00 at 1"},
		{path: "/é", host: "a", want: "byte 0xc3 at 1 must be percent-encoded"},
		{path: "/a#b", host: "a", want: "a fragment is never sent"},
		{host: "", want: "host is empty"},
		{host: "a\r\nX: y", want: "byte 0x0d at 1 is not part of a host"},
		{host: "http://a", want: "is not part of a host"},
		{host: "a", headers: [][2]string{{"A B", "c"}}, want: `header "A B" is not a header name`},
		{host: "a", headers: [][2]string{{"", "c"}}, want: `header "" is not a header name`},
		{host: "a", headers: [][2]string{{"A:", "c"}}, want: `header "A:" is not a header name`},
		{host: "a", headers: [][2]string{{"A", "b\r\nC: d"}}, want: `header A: value "b\r\nC: d" has a control character`},
		{host: "a", headers: [][2]string{{"A", "b\nc"}}, want: "control character"},
		{host: "a", headers: [][2]string{{"A", "b\x00"}}, want: "control character"},
		{host: "a", headers: [][2]string{{"Host", "a"}, {"host", "a"}}, want: "Host is given more than once"},
		{host: "a", headers: [][2]string{{"Host", "a b"}}, want: "is not part of a host"},
		{host: "a", headers: [][2]string{{"transfer-encoding", "chunked"}}, want: "Transfer-Encoding"},
		{host: "a", headers: [][2]string{{"Content-Length", "5"}}, body: "${id}", want: `Content-Length: "5", but the body has 32 bytes`},
		{host: "a", path: "/${id", want: `path: placeholder "${id" is not closed by }; a plain ${ is written $${`},
		{host: "a", path: "/${Id}", want: "path: unknown placeholder ${Id}: there are ${id}, ${seq}, ${key}, ${rand:LOW-HIGH} and ${data.COLUMN}"},
		{host: "a", headers: [][2]string{{"A", "${}"}}, want: "header A: unknown placeholder ${}"},
		{host: "a", body: "x${next.x}", want: "body: unknown placeholder ${next.x}"},
		{host: "a", body: "x${prev.x}", want: "body: placeholder ${prev.x}: there is no response before this request"},
		{host: "a", body: "${rand}", want: "body: unknown placeholder ${rand}"},
		{host: "a", body: "${rand:5}", want: "like ${rand:1-1000}"},
		{host: "a", body: "${rand:5-4}", want: "the lower first"},
		{host: "a", body: "${rand:-1-4}", want: "two whole numbers"},
		{host: "a", body: "${rand:0-9223372036854775808}", want: "two whole numbers"},
		{host: "a", path: "/${data.name}", want: "${data.name}: there is no data"},
		{host: "a", path: "/${data.x y}", want: "${data.x y}: there is no data"},
		{host: "a", method: "PUT", headers: [][2]string{{"Content-Length", "2"}}, body: "${seq}", want: "the length of the body varies"},
		{host: "a", idHeader: "X Id", want: `id header "X Id" is not a header name`},
	} {
		template, err := Encode(c.method, c.path, c.host, c.headers, []byte(c.body), c.idHeader, Fill{Run: 1})
		if err == nil {
			t.Errorf("no error, but %q; want %s", template.Append(nil, 1), c.want)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %q; want %q in it", err, c.want)
		}
	}
}

func TestTemplateIsHEAD(t *testing.T) {
	for method, want := range map[string]bool{"HEAD": true, "GET": false, "": false, "head": false} {
		template, err := Encode(method, "", "a", nil, nil, "", Fill{Run: 1})
		if err != nil {
			t.Fatal(err)
		}
		if got := template.IsHEAD(); got != want {
			t.Errorf("%q: %t, want %t", method, got, want)
		}
	}
}
