package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// Placeholder stands for the request id in a path, a header value or a body.
const Placeholder = "${id}"

// Template is a request encoded once, with holes where its id goes. It is
// read-only: many event loops may Append from one at once.
type Template struct {
	text  []byte
	seqs  []int // where the 16 digits of the seq go
	spans []int // where the 16 digits of a traceparent's parent id go
	head  bool
}

// Encode makes a template of a request. "" means GET for method, / for path and
// DefaultIDHeader for idHeader. Placeholder is replaced in path, header values
// and body.
//
// These headers are added unless the given ones have them: Host (host),
// User-Agent (stormctl), the id header, traceparent, and Content-Length if
// there is a body or the method is POST, PUT or PATCH. A given Content-Length
// must be right, and Transfer-Encoding is refused: the body is sent as it is.
//
// An error says what cannot be put on the wire as one request with one meaning.
func Encode(method, path, host string, headers [][2]string, body []byte, idHeader string, run uint64) (*Template, error) {
	if method == "" {
		method = "GET"
	}
	if path == "" {
		path = "/"
	}
	if idHeader == "" {
		idHeader = DefaultIDHeader
	}
	if err := check(method, path, host, headers, idHeader); err != nil {
		return nil, err
	}

	given := func(name string) bool {
		for _, h := range headers {
			if strings.EqualFold(h[0], name) {
				return true
			}
		}
		return false
	}
	t := &Template{head: method == "HEAD"}
	t.add(method+" "+path+" HTTP/1.1\r\n", run)
	field := func(name, value string) { t.add(name+": "+value+"\r\n", run) }
	if !given("Host") {
		field("Host", host)
	}
	for _, h := range headers {
		field(h[0], h[1])
	}
	if !given("User-Agent") {
		field("User-Agent", "stormctl")
	}
	if !given(idHeader) && !strings.EqualFold(idHeader, "traceparent") {
		field(idHeader, Placeholder)
	}
	if !given("traceparent") {
		t.add("traceparent: 00-"+Placeholder+"-", run)
		t.spans = append(t.spans, len(t.text))
		t.add(strings.Repeat("0", halfID)+"-01\r\n", run)
	}
	length := len(body) + strings.Count(string(body), Placeholder)*(idWidth-len(Placeholder))
	for _, h := range headers {
		if strings.EqualFold(h[0], "Content-Length") && h[1] != strconv.Itoa(length) {
			return nil, fmt.Errorf("header Content-Length: %q, but the body has %d bytes", h[1], length)
		}
	}
	if !given("Content-Length") && (length > 0 || method == "POST" || method == "PUT" || method == "PATCH") {
		field("Content-Length", strconv.Itoa(length))
	}
	t.add("\r\n", run)
	t.add(string(body), run)
	return t, nil
}

// add appends text, with run in the place of each placeholder and a hole behind
// it.
func (t *Template) add(text string, run uint64) {
	for {
		before, after, found := strings.Cut(text, Placeholder)
		t.text = append(t.text, before...)
		if !found {
			return
		}
		t.text = AppendID(t.text, ID{Run: run})
		t.seqs = append(t.seqs, len(t.text)-halfID)
		text = after
	}
}

// Append appends the request number seq to dst. It does not allocate if dst has
// room for Len more bytes.
func (t *Template) Append(dst []byte, seq uint64) []byte {
	start := len(dst)
	dst = append(dst, t.text...)
	request, text := dst[start:], hex16(seq)
	for _, at := range t.seqs {
		copy(request[at:], text[:])
	}
	for _, at := range t.spans {
		copy(request[at:], text[:])
	}
	return dst
}

// Len is how many bytes Append appends: the same for every seq.
func (t *Template) Len() int { return len(t.text) }

// IsHEAD tells what Response.Parse has to know of the request it answers.
func (t *Template) IsHEAD() bool { return t.head }

func check(method, path, host string, headers [][2]string, idHeader string) error {
	if !isToken(method) {
		return fmt.Errorf("method %q is not a token", method)
	}
	if method == "CONNECT" {
		return fmt.Errorf("method CONNECT opens a tunnel, it is not a request to load a service with")
	}
	if path[0] != '/' && path != "*" {
		return fmt.Errorf("path %q does not start with /", path)
	}
	for i := range len(path) {
		switch c := path[i]; {
		case c <= ' ' || c >= 0x7f:
			return fmt.Errorf("path %q: byte %#02x at %d must be percent-encoded", path, c, i)
		case c == '#':
			return fmt.Errorf("path %q: a fragment is never sent; write %%23 if # is meant", path)
		}
	}
	if !isToken(idHeader) {
		return fmt.Errorf("id header %q is not a header name", idHeader)
	}
	hosts := 0
	for _, h := range headers {
		if !isToken(h[0]) {
			return fmt.Errorf("header %q is not a header name", h[0])
		}
		if !only([]byte(h[1]), inValue) {
			return fmt.Errorf("header %s: value %q has a control character", h[0], h[1])
		}
		switch {
		case strings.EqualFold(h[0], "Host"):
			host = h[1]
			if hosts++; hosts > 1 {
				return fmt.Errorf("header Host is given more than once")
			}
		case strings.EqualFold(h[0], "Transfer-Encoding"):
			return fmt.Errorf("header Transfer-Encoding: bodies are sent as they are, with Content-Length")
		}
	}
	if host == "" {
		return fmt.Errorf("host is empty")
	}
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("/?#@,", c) >= 0 {
			return fmt.Errorf("host %q: byte %#02x at %d is not part of a host", host, c, i)
		}
	}
	return nil
}

func isToken(s string) bool { return s != "" && only([]byte(s), inToken) }
