package wire

import (
	"errors"
	"strings"
	"testing"
)

var requests = []struct {
	name, wire string
	err        error
	method     string // "": incomplete
	target     string
	framing    Framing
	close      bool
	expect     bool
	upgrade    bool
	doubtful   bool
}{
	{name: "no bytes", wire: ""},
	{name: "half a method", wire: "GE"},
	{name: "no blank line", wire: "GET / HTTP/1.1\r\nHost: a\r\n"},
	{name: "GET", wire: "GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\nGET ", method: "GET", target: "/a?b=c"},
	{name: "no Host", wire: "GET / HTTP/1.1\r\n\r\n", method: "GET", target: "/"},
	{name: "POST with length", wire: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", method: "POST", target: "/", framing: Length},
	{name: "POST without", wire: "POST / HTTP/1.1\r\nHost: a\r\n\r\nabc", method: "POST", target: "/"},
	{name: "GET with a body", wire: "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", method: "GET", target: "/", framing: Chunked},
	{name: "close", wire: "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", method: "GET", target: "/", close: true},
	{name: "1.0", wire: "GET / HTTP/1.0\r\n\r\n", method: "GET", target: "/", close: true},
	{name: "1.0, kept", wire: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", method: "GET", target: "/"},
	{name: "expects 100", wire: "PUT / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", method: "PUT", target: "/", framing: Length, expect: true},
	{name: "1.0 cannot expect", wire: "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", method: "PUT", target: "/", framing: Length, close: true},
	{name: "upgrade", wire: "GET / HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", method: "GET", target: "/", upgrade: true},
	{name: "an Upgrade that is not for us", wire: "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", method: "GET", target: "/"},
	{name: "CONNECT", wire: "CONNECT a:1 HTTP/1.1\r\n\r\n", method: "CONNECT", target: "a:1", upgrade: true},
	{name: "absolute form", wire: "GET http://a/b HTTP/1.1\r\n\r\n", method: "GET", target: "http://a/b"},
	{name: "asterisk form", wire: "OPTIONS * HTTP/1.1\r\n\r\n", method: "OPTIONS", target: "*"},
	{name: "target above ASCII", wire: "GET /\xc3\xa9 HTTP/1.1\r\n\r\n", method: "GET", target: "/\xc3\xa9"},
	{name: "target net/http cannot decode", wire: "GET /%zz HTTP/1.1\r\n\r\n", method: "GET", target: "/%zz"},

	{name: "TLS, from its first byte", wire: "\x16", err: errRequestLine},
	{name: "empty line before", wire: "\r\nGET / HTTP/1.1\r\n\r\n", err: errRequestLine},
	{name: "no method", wire: " / HTTP/1.1\r\n\r\n", err: errRequestLine},
	{name: "no target", wire: "GET HTTP/1.1\r\n\r\n", err: errRequestLine},
	{name: "empty target", wire: "GET  HTTP/1.1\r\n\r\n", err: errRequestLine},
	{name: "no version", wire: "GET /\r\n\r\n", err: errRequestLine},
	{name: "two spaces", wire: "GET  / HTTP/1.1\r\n\r\n", err: errRequestLine},
	{name: "space in the target", wire: "GET /a b HTTP/1.1\r\n\r\n", err: errRequestLine},
	{name: "tab for space", wire: "GET\t/ HTTP/1.1\r\n\r\n", err: errRequestLine},
	{name: "control in the target", wire: "GET /\x01 HTTP/1.1\r\n\r\n", err: errRequestLine},
	{name: "trailing space", wire: "GET / HTTP/1.1 \r\n\r\n", err: errRequestLine},
	{name: "HTTP/2 preface", wire: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", err: errRequestLine},
	{name: "lower-case version", wire: "GET / http/1.1\r\n\r\n", err: errRequestLine},
	{name: "LF behind the request line", wire: "GET / HTTP/1.1\nHost: a\r\n\r\n", err: errBareLF},
	{name: "LF hides a header", wire: "GET / HTTP/1.1\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n", err: errBareLF},
	{name: "LF as blank line", wire: "GET / HTTP/1.1\r\nX: y\r\n\n", err: errBareLF},
	{name: "two Hosts", wire: "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", err: errHosts},
	{name: "CL.TE", wire: "POST / HTTP/1.1\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", method: "POST", target: "/", framing: Chunked, doubtful: true},
	{name: "TE.CL", wire: "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 6\r\n\r\n", method: "POST", target: "/", framing: Chunked, doubtful: true},
	{name: "list of lengths", wire: "POST / HTTP/1.1\r\nContent-Length: 3,\t3\r\nContent-Length: 3\r\n\r\n", method: "POST", target: "/", framing: Length},
	{name: "folded", wire: "GET / HTTP/1.1\r\nA: b\r\n\t c:d \r\n\r\n", method: "GET", target: "/"},
	{name: "chunked is not last", wire: "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", err: errCoding},
	{name: "a length in a fold", wire: "POST / HTTP/1.1\r\nA: b\r\n Content-Length: 3\r\n\r\n", err: errFolded},
	{name: "length folded", wire: "POST / HTTP/1.1\r\nContent-Length: 3\r\n 3\r\n\r\n", err: errFolded},
	{name: "blank line that is indented", wire: "GET / HTTP/1.1\r\nA: b\r\n \r\n\r\n", err: errFolded},
	{name: "TE.TE", wire: "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", err: errCoding},
	{name: "TE with vertical tab", wire: "POST / HTTP/1.1\r\nTransfer-Encoding: \vchunked\r\n\r\n", err: errFieldValue},
	{name: "TE folded", wire: "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", err: errFolded},
	{name: "TE with space before the colon", wire: "POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", err: errFieldName},
	{name: "TE in 1.0", wire: "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", err: errOldCoding},
}

func TestRequest(t *testing.T) {
	for _, c := range requests {
		t.Run(c.name, func(t *testing.T) {
			var r Request
			n, err := r.Parse([]byte(c.wire))
			if c.err != nil {
				if err != c.err || !errors.Is(err, ErrMalformed) || n != 0 {
					t.Fatalf("n %d, error %v; want 0 and %v", n, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.method == "" {
				if n != 0 {
					t.Fatalf("n %d of an incomplete head; want 0", n)
				}
				return
			}
			got := want{head: n, framing: r.Body.Framing(), close: r.Close}
			if want := (want{head: headLen(c.wire), framing: c.framing, close: c.close}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if string(r.Method) != c.method || string(r.Target) != c.target {
				t.Errorf("%q %q, want %q %q", r.Method, r.Target, c.method, c.target)
			}
			if r.Expect100 != c.expect || r.Upgrade != c.upgrade || r.Doubtful != c.doubtful {
				t.Errorf("expect %t, upgrade %t, doubtful %t; want %t, %t, %t", r.Expect100, r.Upgrade, r.Doubtful, c.expect, c.upgrade, c.doubtful)
			}
		})
	}
}

func TestRequestHeadBounds(t *testing.T) {
	const start, end = "GET / HTTP/1.1\r\nA: ", "\r\n\r\n"
	for _, c := range []struct {
		name, wire string
		err        error
	}{
		{"largest head", start + strings.Repeat("b", MaxHead-len(start)-len(end)) + end, nil},
		{"a byte more", start + strings.Repeat("b", MaxHead-len(start)-len(end)+1) + end, errHeadSize},
		{"endless method", strings.Repeat("G", MaxHead), errHeadSize},
		{"method not yet endless", strings.Repeat("G", MaxHead-1), nil},
	} {
		var r Request
		n, err := r.Parse([]byte(c.wire))
		if complete := strings.HasSuffix(c.wire, end) && c.err == nil; err != c.err || complete != (n == len(c.wire)) || !complete && n != 0 {
			t.Errorf("%s: n %d of %d, error %v; want %v", c.name, n, len(c.wire), err, c.err)
		}
		sameHowever(t, []byte(c.wire), 1, readOurRequest)
	}
}

func TestRequestPath(t *testing.T) {
	for target, want := range map[string]string{
		"/":              "/",
		"/a/b?c=/d?e":    "/a/b",
		"/?":             "/",
		"/a?http://b/c":  "/a",
		"http://a":       "/",
		"http://a?b":     "/",
		"http://a/b/c?d": "/b/c",
		"HTTPS://a:1//b": "//b",
		"*":              "*",
		"a:1":            "a:1", // CONNECT
	} {
		r := Request{Target: []byte(target)}
		if got := string(r.Path()); got != want {
			t.Errorf("path of %q: %q, want %q", target, got, want)
		}
	}
}
