package wire

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// StreamTemplate is a request encoded once as HTTP/2 frames, with holes where
// its stream and what differs go. No frame of it is above MaxFrame. It is read-only
// once ShareFields was called: many event loops may append from one at once.
//
// As with Template, mostly only ids differ, and then head and body are texts that
// are copied and patched. The one whose length varies is written part by part.
type StreamTemplate struct {
	heads  [forms]streamHead // empty if their length varies
	fields []field           // of the head
	varies bool              // the head's length does
	shares bool              // some fields can be in the peer's table
	body   fixed             // empty if its length varies
	parts  []part            // the body, if its length varies
	toHEAD bool
}

// streamHead is HEADERS and what continues it.
type streamHead struct {
	fixed
	streams []int // where the stream id goes
}

// IsHEAD reports whether the method is HEAD: a response to it has no body.
func (t *StreamTemplate) IsHEAD() bool { return t.toHEAD }

// field is a field of a header block.
type field struct {
	name  string
	begin [forms][]byte // of a literal, its name; or the whole field, if a table has it
	value []part        // nil if begin is the whole field
	text  bool          // the value is the same in all requests, and with the name in the table
}

// in is how the field is written: what it begins with, and a value unless that is nil.
func (f *field) in(form Form) (begin []byte, value []part) {
	if f.text && form == Indexed {
		return f.begin[form], nil
	}
	return f.begin[form], f.value
}

// EncodeStream makes a template of a request over HTTP/2. What is said of
// Encode holds here too, but that Host becomes :authority, names become lower
// case, and headers that are about an HTTP/1.1 connection are refused (RFC 9113
// section 8.2.2). scheme is http or https.
func EncodeStream(scheme, method, path, host string, headers [][2]string, body []byte,
	idHeader string, fill Fill) (*StreamTemplate, error) {
	method = cmp.Or(method, "GET")
	content := draft{fill: fill}
	content.add("body", string(body), inBody)
	if content.err != nil {
		return nil, content.err
	}
	varies, size, err := bodySize(headers, content.parts)
	if err != nil {
		return nil, err
	}
	var length []part
	if !has(headers, "Content-Length") && hasBody(method, body) {
		length = []part{{text: []byte(size)}}
		if varies {
			length = []part{{hole: hole{kind: bodyLength}}}
		}
	}
	return encodeStream(scheme, method, path, host, headers, content, length, idHeader)
}

// encodeStream is told the value of content-length, nil if there is none.
func encodeStream(scheme, method, path, host string, headers [][2]string, body draft, length []part,
	idHeader string) (*StreamTemplate, error) {
	path = cmp.Or(path, "/")
	idHeader = cmp.Or(idHeader, DefaultIDHeader)
	if err := check(method, path, host, headers, idHeader); err != nil {
		return nil, err
	}
	if err := checkStream(headers); err != nil {
		return nil, err
	}
	b := blockDraft{draft: draft{fill: body.fill, salts: body.salts}}
	b.bare = true
	target := b.value("path", path, inPath) // before all others, as Encode has it
	others := blockDraft{draft: b.draft}
	var authority []part
	if !has(headers, "Host") {
		authority = others.value("header Host", host, inHost)
	}
	for _, h := range headers {
		switch name := strings.ToLower(h[0]); name {
		case "host":
			authority = others.value("header "+h[0], h[1], inHost)
		default:
			others.add(name, others.value("header "+h[0], strings.Trim(h[1], " \t"), inHeader))
		}
	}
	if length != nil {
		others.add("content-length", length)
	}
	if !has(headers, "User-Agent") {
		others.add("user-agent", []part{{text: []byte("stormctl")}})
	}
	if !has(headers, idHeader) && !strings.EqualFold(idHeader, "traceparent") {
		others.add(strings.ToLower(idHeader), others.value("", Placeholder, inHeader))
	}
	if !has(headers, "traceparent") {
		d := draft{fill: body.fill}
		d.plain("00-")
		d.id()
		d.plain("-")
		d.hole(hole{kind: digits})
		d.plain("-01")
		others.add("traceparent", d.parts)
	}
	if others.err != nil {
		return nil, others.err
	}
	b.add(":method", []part{{text: []byte(method)}})
	b.add(":scheme", []part{{text: []byte(scheme)}})
	b.add(":authority", authority)
	b.add(":path", target)
	t := newStreamTemplate(append(b.fields, others.fields...), body.parts)
	t.toHEAD = method == "HEAD"
	return t, nil
}

// blockDraft is a header block that is being made.
type blockDraft struct {
	draft
	fields []field
}

// value takes the value of a field apart.
func (b *blockDraft) value(what, text string, where place) []part {
	b.parts = nil
	b.draft.add(what, text, where)
	return b.parts
}

func (b *blockDraft) add(name string, value []part) {
	if len(value) == 1 && value[0].kind == none {
		if index := staticFields[[2]string{name, string(value[0].text)}]; index > 0 {
			b.fields = append(b.fields, field{name: name, begin: inAllForms(appendVarint(nil, 0x80, 7, index))})
			return
		}
	}
	b.fields = append(b.fields, field{name: name, begin: inAllForms(appendName(nil, name)), value: value})
}

func inAllForms(begin []byte) (all [forms][]byte) {
	for form := range all {
		all[form] = begin
	}
	return all
}

func newStreamTemplate(fields []field, body []part) *StreamTemplate {
	t := &StreamTemplate{fields: fields}
	if vary(body) {
		t.parts = body
	} else {
		t.body.addParts(body)
	}
	t.varies = slices.ContainsFunc(fields, func(f field) bool { return vary(f.value) })
	t.lay()
	return t
}

// lay makes the heads of the fields.
func (t *StreamTemplate) lay() {
	if t.varies {
		return
	}
	for form := range t.heads {
		var block fixed
		for i := range t.fields {
			begin, value := t.fields[i].in(Form(form))
			block.text = append(block.text, begin...)
			if value != nil {
				block.text = appendVarint(block.text, 0, 7, most(value, 0))
				block.addParts(value)
			}
		}
		t.heads[form] = t.frame(&block)
	}
}

// checkStream refuses what means nothing where connections are shared.
func checkStream(headers [][2]string) error {
	for _, h := range headers {
		switch name := strings.ToLower(h[0]); name {
		case "connection", "proxy-connection", "keep-alive", "upgrade":
			return fmt.Errorf("header %s: there is none in HTTP/2", h[0])
		case "te":
			if h[1] != "trailers" {
				return fmt.Errorf("header %s: HTTP/2 knows no value but trailers", h[0])
			}
		}
	}
	return nil
}

// staticFields are those fields of the static table that requests use whole,
// staticNames those of which they use the name (RFC 7541 appendix A).
var (
	staticFields = map[[2]string]int{
		{":method", "GET"}: 2, {":method", "POST"}: 3, {":path", "/"}: 4, {":scheme", "http"}: 6, {":scheme", "https"}: 7,
	}
	staticNames = map[string]int{
		":authority": 1, ":method": 2, ":path": 4, ":scheme": 6, "accept": 19, "accept-encoding": 16, "accept-language": 17,
		"authorization": 23, "cache-control": 24, "content-length": 28, "content-type": 31, "cookie": 32, "user-agent": 58,
	}
)

// appendName begins a literal that is not to be remembered.
func appendName(dst []byte, name string) []byte {
	if index := staticNames[name]; index > 0 {
		return appendVarint(dst, 0, 4, index)
	}
	dst = append(dst, 0)
	return append(appendVarint(dst, 0, 7, len(name)), name...)
}

// appendVarint appends an integer behind a prefix (RFC 7541 section 5.1).
func appendVarint(dst []byte, prefix byte, bits, value int) []byte {
	most := 1<<bits - 1
	if value < most {
		return append(dst, prefix|byte(value))
	}
	dst = append(dst, prefix|byte(most))
	for value -= most; value >= 0x80; value >>= 7 {
		dst = append(dst, byte(value)|0x80)
	}
	return append(dst, byte(value))
}

// frame cuts a header block into frames. No hole is cut, so that each can be
// filled by one copy.
func (t *StreamTemplate) frame(block *fixed) (head streamHead) {
	kind, flags := FrameHeaders, uint8(0)
	if t.bodiless() {
		flags = flagEndStream
	}
	for start, end := 0, 0; start == 0 || start < len(block.text); start = end {
		end = block.whole(min(start+MaxFrame, len(block.text)))
		if end == len(block.text) {
			flags |= flagEndHeaders
		}
		head.streams = append(head.streams, len(head.text)+5)
		head.text = appendFrameHead(head.text, end-start, kind, flags, 0)
		moved := len(head.text) - start
		head.text = append(head.text, block.text[start:end]...)
		for _, hole := range block.seqs {
			if start <= hole && hole < end {
				head.seqs = append(head.seqs, hole+moved)
			}
		}
		kind, flags = frameContinuation, 0
	}
	return head
}

// whole is at, or the start of the hole that at is in.
func (t *fixed) whole(at int) int {
	for _, hole := range t.seqs {
		if hole < at && at < hole+halfID {
			return hole
		}
	}
	return at
}

// bodiless reports whether no request has a body.
func (t *StreamTemplate) bodiless() bool { return len(t.body.text) == 0 && t.parts == nil }

// AppendHead appends the request's head, which ends it if it has no body. extracted
// are the values that Fill.Prev has promised, without control characters; nil if
// it has not. It does not allocate if dst has room. See Form.
func (t *StreamTemplate) AppendHead(dst []byte, form Form, stream uint32, seq uint64, extracted []string) []byte {
	if t.varies {
		return t.appendFields(dst, form, stream, seq, extracted)
	}
	start, head := len(dst), &t.heads[form]
	dst = head.Append(dst, seq)
	for _, at := range head.streams {
		binary.BigEndian.PutUint32(dst[start+at:], stream)
	}
	return dst
}

// AppendTablelessHead is AppendHead, and says before the first field that we use no
// header table. A peer wants to read that once, at the start of the next header block,
// where it has made its table smaller (RFC 7541 section 4.2).
func (t *StreamTemplate) AppendTablelessHead(dst []byte, stream uint32, seq uint64, extracted []string) []byte {
	const noTable = 0x20 // its size is 0: RFC 7541 section 6.3
	start := len(dst)
	dst = append(dst, make([]byte, frameHead)...)
	dst = append(dst, noTable)
	rest := len(dst)
	dst = t.AppendHead(dst, Unindexed, stream, seq, extracted)
	first := dst[rest:] // which continues a frame of that word alone now, as it may have the greatest length
	appendFrameHead(dst[:start], 1, FrameHeaders, first[4]&flagEndStream, stream)
	first[3], first[4] = byte(frameContinuation), first[4]&flagEndHeaders
	return dst
}

// appendFields appends a head whose length varies. How long it is is known when
// it is there, so its frames are cut then.
func (t *StreamTemplate) appendFields(dst []byte, form Form, stream uint32, seq uint64, extracted []string) []byte {
	body := t.BodyLen(seq, extracted)
	flags := uint8(0)
	if t.parts != nil && body == 0 || t.bodiless() {
		flags = flagEndStream
	}
	dst = appendFrameHead(dst, 0, FrameHeaders, flags, stream)
	start := len(dst)
	for i := range t.fields {
		dst = t.fields[i].append(dst, form, seq, body, extracted)
	}
	return cutFrames(dst, start, stream)
}

// append appends the field with its value filled in.
func (f *field) append(dst []byte, form Form, seq uint64, body int, extracted []string) []byte {
	begin, value := f.in(form)
	dst = append(dst, begin...)
	if value == nil {
		return dst
	}
	at := len(dst)
	dst = append(dst, 0) // a length, mostly
	for i := range value {
		dst = append(dst, value[i].text...)
		dst = value[i].append(dst, seq, body, extracted)
	}
	trimmed := trim(dst[at+1:]) // RFC 9113 section 8.2.1
	size := len(trimmed)
	dst = dst[:at+1+copy(dst[at+1:], trimmed)]
	if size < 0x7f {
		dst[at] = byte(size)
		return dst
	}
	var digits [5]byte
	length := appendVarint(digits[:0], 0, 7, size)
	dst = append(dst, length[1:]...) // to make room
	copy(dst[at+len(length):], dst[at+1:])
	copy(dst[at:], length)
	return dst
}

// cutFrames makes frames of a header block that stands from start on behind the
// head of a frame with nothing of it filled in but its stream and END_STREAM.
func cutFrames(dst []byte, start int, stream uint32) []byte {
	size := len(dst) - start
	more := max(0, (size-1)/MaxFrame) // frames that continue
	for range more {
		dst = append(dst, make([]byte, frameHead)...)
	}
	for i := more; i > 0; i-- { // the last one moves first
		from := start + i*MaxFrame
		length := min(MaxFrame, start+size-from)
		to := from + i*frameHead
		copy(dst[to:to+length], dst[from:])
		flags := uint8(0)
		if i == more {
			flags = flagEndHeaders
		}
		appendFrameHead(dst[:to-frameHead], length, frameContinuation, flags, stream)
	}
	first, head := min(size, MaxFrame), dst[start-frameHead:]
	head[0], head[1], head[2] = byte(first>>16), byte(first>>8), byte(first)
	if more == 0 {
		head[4] |= flagEndHeaders
	}
	return dst
}

// BodyLen is how many bytes the request's body has.
func (t *StreamTemplate) BodyLen(seq uint64, extracted []string) int {
	if t.parts == nil {
		return len(t.body.text)
	}
	return length(t.parts, seq, extracted)
}

// AppendData appends a frame with n bytes of the body, at most MaxFrame,
// starting at from. The last one ends the request. It does not allocate if dst
// has room for a body.
func (t *StreamTemplate) AppendData(dst []byte, stream uint32, seq uint64, extracted []string, from, n int) []byte {
	size := t.BodyLen(seq, extracted)
	flags := uint8(0)
	if from+n == size {
		flags = flagEndStream
	}
	dst = appendFrameHead(dst, n, FrameData, flags, stream)
	if t.parts == nil {
		return t.body.appendPart(dst, seq, from, n)
	}
	end := len(dst) + n
	for i := 0; len(dst) < end; i++ {
		p := &t.parts[i]
		before := min(from, len(p.text))
		dst = append(dst, p.text[before:min(len(p.text), before+end-len(dst))]...)
		from -= before
		at := len(dst)
		dst = p.append(dst, seq, size, extracted)
		before = min(from, len(dst)-at)
		dst = dst[:at+copy(dst[at:], dst[at+before:])]
		from -= before
	}
	return dst[:end]
}
