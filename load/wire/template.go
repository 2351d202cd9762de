package wire

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Template is a request encoded once, with holes where what differs goes. It is
// read-only: many event loops may Append from one at once.
//
// Mostly only ids differ, which are all equally long: then the request is one
// text, copied and patched. Otherwise it is written part by part.
type Template struct {
	fixed        // the whole request; empty if its length varies
	parts []part // the request, if its length varies
	body  int    // the parts from here on are its body
	most  int    // how long it can be
	head  bool
	// upgrade says that the request asks for another protocol.
	upgrade bool
}

// part is a piece of a request, and the hole behind it.
type part struct {
	text []byte
	hole
}

// Encode makes a template of a request. "" means GET for method, / for path and
// DefaultIDHeader for idHeader. The placeholders that Fill tells of are replaced
// in path, header values and body.
//
// Values from data are percent-encoded in a path, stand as they are in a body,
// and must be possible in a header.
//
// These headers are added unless the given ones have them: Host (host),
// User-Agent (stormctl), the id header, traceparent, and Content-Length if
// there is a body or the method is POST, PUT or PATCH. A given Content-Length
// must be right, and there must be none if the length of the body varies;
// Transfer-Encoding is refused: the body is sent as it is.
//
// An error says what cannot be put on the wire as one request with one meaning.
func Encode(method, path, host string, headers [][2]string, body []byte, idHeader string, fill Fill) (*Template, error) {
	method = cmp.Or(method, "GET")
	path = cmp.Or(path, "/")
	idHeader = cmp.Or(idHeader, DefaultIDHeader)
	if err := check(method, path, host, headers, idHeader); err != nil {
		return nil, err
	}
	content := draft{fill: fill}
	content.add("body", string(body), inBody)
	if content.err != nil {
		return nil, content.err
	}

	d := draft{fill: fill, salts: content.salts}
	d.plain(method + " ")
	d.bare = true
	d.add("path", path, inPath)
	d.plain(" HTTP/1.1\r\n")
	if !has(headers, "Host") {
		d.field("Host", host)
	}
	for _, h := range headers {
		d.field(h[0], h[1])
	}
	if !has(headers, "User-Agent") {
		d.field("User-Agent", "stormctl")
	}
	if !has(headers, idHeader) && !strings.EqualFold(idHeader, "traceparent") {
		d.field(idHeader, Placeholder)
	}
	if !has(headers, "traceparent") {
		d.plain("traceparent: 00-")
		d.id()
		d.plain("-")
		d.hole(hole{kind: digits})
		d.plain("-01\r\n")
	}
	if err := d.contentLength(headers, &content, has(headers, "Content-Length") || !hasBody(method, body)); err != nil {
		return nil, err
	}
	d.plain("\r\n")
	if d.err != nil {
		return nil, d.err
	}
	t := newTemplate(d.parts, content.parts, method == "HEAD")
	t.upgrade = has(headers, "Upgrade")
	return t, nil
}

// hasBody reports whether a request says how long its body is.
func hasBody(method string, body []byte) bool {
	return len(body) > 0 || method == "POST" || method == "PUT" || method == "PATCH"
}

func newTemplate(head, body []part, isHEAD bool) *Template {
	t := &Template{parts: append(head, body...), body: len(head), head: isHEAD}
	content := most(body, 0)
	t.most = most(head, content) + content
	if vary(t.parts) {
		return t
	}
	t.text = make([]byte, 0, t.most)
	t.addParts(t.parts)
	t.parts = nil
	return t
}

// vary reports whether the length of parts is not always the same.
func vary(parts []part) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return !p.fixed() })
}

// length is how long parts are in a body.
func length(parts []part, seq uint64, extracted []string) (n int) {
	for i := range parts {
		n += len(parts[i].text) + parts[i].size(seq, extracted)
	}
	return n
}

// most is how long parts can be.
func most(parts []part, body int) (n int) {
	for i := range parts {
		n += len(parts[i].text) + parts[i].most(body)
	}
	return n
}

// draft is a request, or a part of one, that is being taken apart.
type draft struct {
	fill  Fill
	parts []part
	salts uint64 // how many holes have random numbers
	bare  bool   // nothing of the path is there yet
	err   error  // the first
}

// plain adds text as it is.
func (d *draft) plain(text string) {
	if n := len(d.parts); n > 0 && d.parts[n-1].kind == none {
		d.parts[n-1].text = append(d.parts[n-1].text, text...)
		return
	}
	d.parts = append(d.parts, part{text: []byte(text)})
}

func (d *draft) hole(h hole) {
	if h.kind == random {
		d.salts++
		h.salt = Mix(d.fill.Seed ^ Mix(d.salts<<32)) // unlike the draw of the route
	}
	d.plain("")
	d.parts[len(d.parts)-1].hole = h
}

func (d *draft) id() {
	run := hex16(d.fill.Run)
	d.plain(string(run[:]))
	d.hole(hole{kind: digits})
}

// add adds text with its placeholders. what names it in errors.
func (d *draft) add(what, text string, where place) {
	for d.err == nil {
		before, name, after, found, err := nextHole(text)
		if err != nil {
			d.err = fmt.Errorf("%s: %w", what, err)
			return
		}
		d.plain(before)
		switch {
		case !found:
			return
		case name == "id":
			d.id()
		default:
			if where == inPath && before == "" && d.bare {
				where = atPathStart
			}
			h, err := d.fill.hole(name, where)
			if err != nil {
				d.err = fmt.Errorf("%s: %w", what, err)
				return
			}
			d.hole(h)
		}
		if where == atPathStart {
			where = inPath
		}
		d.bare = false
		text = after
	}
}

func (d *draft) field(name, value string) {
	where := inHeader
	if strings.EqualFold(name, "Host") {
		where = inHost
	}
	d.plain(name + ": ")
	d.add("header "+name, value, where)
	d.plain("\r\n")
}

// contentLength adds the header unless it is not wanted, and checks one that is
// given.
func (d *draft) contentLength(headers [][2]string, body *draft, unwanted bool) error {
	varies, size, err := bodySize(headers, body.parts)
	switch {
	case err != nil:
		return err
	case unwanted:
	case varies:
		d.plain("Content-Length: ")
		d.hole(hole{kind: bodyLength})
		d.plain("\r\n")
	default:
		d.field("Content-Length", size)
	}
	return nil
}

// bodySize returns how long a body is, unless that varies, and checks a header
// that says it.
func bodySize(headers [][2]string, body []part) (varies bool, size string, err error) {
	varies, size = vary(body), strconv.Itoa(most(body, 0))
	for _, h := range headers {
		switch {
		case !strings.EqualFold(h[0], "Content-Length"):
		case varies:
			return false, "", fmt.Errorf("header Content-Length: the length of the body varies: leave the header to us")
		case h[1] != size:
			return false, "", fmt.Errorf("header Content-Length: %q, but the body has %s bytes", h[1], size)
		}
	}
	return varies, size, nil
}

// Append appends the request number seq, which counts from 1, to dst. It does
// not allocate if dst has room for Len more bytes. If Fill.Prev has promised
// values, it is AppendExtracted that must be called.
func (t *Template) Append(dst []byte, seq uint64) []byte {
	if t.parts != nil {
		return t.AppendExtracted(dst, seq, nil)
	}
	return t.fixed.Append(dst, seq)
}

// AppendExtracted is Append with the values that Fill.Prev has promised. They have
// no control characters.
func (t *Template) AppendExtracted(dst []byte, seq uint64, extracted []string) []byte {
	if t.parts == nil {
		return t.fixed.Append(dst, seq)
	}
	body := length(t.parts[t.body:], seq, extracted)
	for i := range t.parts {
		p := &t.parts[i]
		dst = append(dst, p.text...)
		dst = p.append(dst, seq, body, extracted)
	}
	return dst
}

// Len is how many bytes Append appends at most: the same for every seq, unless
// there are placeholders whose length varies. Extracted values are not counted.
func (t *Template) Len() int { return t.most }

// IsHEAD reports whether the method is HEAD, as Response.Parse needs.
func (t *Template) IsHEAD() bool { return t.head }

// AsksUpgrade reports whether a response of 101 is what the request asks for.
func (t *Template) AsksUpgrade() bool { return t.upgrade }

func check(method, path, host string, headers [][2]string, idHeader string) error {
	if !IsToken(method) {
		return fmt.Errorf("method %q is not a token", method)
	}
	if method == "CONNECT" {
		return fmt.Errorf("method CONNECT opens a tunnel, it is not a request to load a service with")
	}
	if path[0] != '/' && path != "*" && !strings.HasPrefix(path, "${prev.") {
		return fmt.Errorf("path %q does not start with /", path)
	}
	bare := blank(path)
	for i := range len(bare) {
		switch c := bare[i]; {
		case c <= ' ' || c >= 0x7f:
			return fmt.Errorf("path %q: byte %#02x at %d must be percent-encoded", path, c, i)
		case c == '#':
			return fmt.Errorf("path %q: a fragment is never sent; write %%23 if # is meant", path)
		}
	}
	if !IsToken(idHeader) {
		return fmt.Errorf("id header %q is not a header name", idHeader)
	}
	hosts := 0
	for _, h := range headers {
		if !IsToken(h[0]) {
			return fmt.Errorf("header %q is not a header name", h[0])
		}
		if !only([]byte(blank(h[1])), inValue) {
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
	return checkHost(blank(host))
}

func checkHost(host string) error {
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("/?#@,", c) >= 0 {
			return fmt.Errorf("host %q: byte %#02x at %d is not part of a host", host, c, i)
		}
	}
	return nil
}

// blank puts zeros in the place of placeholders: their names are no part of the
// request, and what they are replaced by is checked elsewhere.
func blank(text string) string {
	rest := text
	var out strings.Builder
	for {
		at := strings.Index(rest, "${")
		end := -1
		if at >= 0 {
			end = strings.IndexByte(rest[at:], '}')
		}
		if end < 0 {
			return out.String() + rest
		}
		if at > 0 && rest[at-1] == '$' { // a plain ${
			out.WriteString(rest[:at+2])
			rest = rest[at+2:]
			continue
		}
		out.WriteString(rest[:at] + strings.Repeat("0", end+1))
		rest = rest[at+end+1:]
	}
}

// IsValue reports whether s can be the value of a header: it has no control
// characters (RFC 9110 section 5.5).
func IsValue(s string) bool { return only([]byte(s), inValue) }

// IsToken reports whether s can be a method or the name of a header (RFC 9110
// section 5.6.2).
func IsToken(s string) bool { return s != "" && only([]byte(s), inToken) }
