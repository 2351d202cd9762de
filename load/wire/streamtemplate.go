package wire

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// StreamTemplate is a request encoded once as HTTP/2 frames, with holes where
// its stream and its id go. Its header block uses the static table alone, so
// that one template serves all connections, and no frame of it is above
// MaxFrame. It is read-only: many event loops may append from one at once.
type StreamTemplate struct {
	head    fixed // HEADERS and what continues it
	streams []int // where in it the stream id goes
	body    fixed
}

// EncodeStream makes a template of a request over HTTP/2. What is said of
// Encode holds here too, but that Host becomes :authority, names become lower
// case, and headers that are about an HTTP/1.1 connection are refused (RFC 9113
// section 8.2.2). scheme is http or https.
func EncodeStream(scheme, method, path, host string, headers [][2]string, body []byte, idHeader string, run uint64) (*StreamTemplate, error) {
	if method == "" {
		method = "GET"
	}
	length := filled(string(body))
	for _, h := range headers {
		if strings.EqualFold(h[0], "Content-Length") && h[1] != strconv.Itoa(length) {
			return nil, fmt.Errorf("header Content-Length: %q, but the body has %d bytes", h[1], length)
		}
	}
	if !has(headers, "Content-Length") && hasBody(method, body) {
		headers = append(headers[:len(headers):len(headers)], [2]string{"content-length", strconv.Itoa(length)})
	}
	return encodeStream(scheme, method, path, host, headers, body, idHeader, run)
}

func encodeStream(scheme, method, path, host string, headers [][2]string, body []byte, idHeader string, run uint64) (*StreamTemplate, error) {
	if path == "" {
		path = "/"
	}
	if idHeader == "" {
		idHeader = DefaultIDHeader
	}
	if err := check(method, path, host, headers, idHeader); err != nil {
		return nil, err
	}
	if err := checkStream(headers); err != nil {
		return nil, err
	}
	if err := checkFixed(path, headers, body); err != nil {
		return nil, err
	}
	var block fixed
	for _, h := range headers {
		if strings.EqualFold(h[0], "Host") {
			host = h[1]
		}
	}
	block.addField(":method", method, run)
	block.addField(":scheme", scheme, run)
	block.addField(":authority", host, run)
	block.addField(":path", path, run)
	for _, h := range headers {
		if !strings.EqualFold(h[0], "Host") {
			block.addField(strings.ToLower(h[0]), strings.Trim(h[1], " \t"), run)
		}
	}
	if !has(headers, "User-Agent") {
		block.addField("user-agent", "stormctl", run)
	}
	if !has(headers, idHeader) && !strings.EqualFold(idHeader, "traceparent") {
		block.addField(strings.ToLower(idHeader), Placeholder, run)
	}
	if !has(headers, "traceparent") {
		block.addName("traceparent")
		block.text = appendVarint(block.text, 0, 7, traceWidth)
		block.addTrace(run)
	}
	t := &StreamTemplate{}
	t.body.add(string(body), run)
	t.frame(&block)
	return t, nil
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
		":authority": 1, ":method": 2, ":path": 4, ":scheme": 6, "accept": 19, "accept-encoding": 16, "accept-language": 17, "authorization": 23,
		"cache-control": 24, "content-length": 28, "content-type": 31, "cookie": 32, "user-agent": 58,
	}
)

// addField appends a field as the static table has it, or as a literal that is
// not to be remembered.
func (t *fixed) addField(name, value string, run uint64) {
	if index := staticFields[[2]string{name, value}]; index > 0 {
		t.text = appendVarint(t.text, 0x80, 7, index)
		return
	}
	t.addName(name)
	t.text = appendVarint(t.text, 0, 7, filled(value))
	t.add(value, run)
}

func (t *fixed) addName(name string) {
	if index := staticNames[name]; index > 0 {
		t.text = appendVarint(t.text, 0, 4, index)
		return
	}
	t.text = append(t.text, 0)
	t.text = append(appendVarint(t.text, 0, 7, len(name)), name...)
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
func (t *StreamTemplate) frame(block *fixed) {
	kind, flags := FrameHeaders, uint8(0)
	if len(t.body.text) == 0 {
		flags = flagEndStream
	}
	for start, end := 0, 0; start == 0 || start < len(block.text); start = end {
		end = block.whole(min(start+MaxFrame, len(block.text)))
		if end == len(block.text) {
			flags |= flagEndHeaders
		}
		t.streams = append(t.streams, len(t.head.text)+5)
		t.head.text = appendFrameHead(t.head.text, end-start, kind, flags, 0)
		moved := len(t.head.text) - start
		t.head.text = append(t.head.text, block.text[start:end]...)
		t.head.seqs = append(t.head.seqs, within(block.seqs, start, end, moved)...)
		t.head.spans = append(t.head.spans, within(block.spans, start, end, moved)...)
		kind, flags = frameContinuation, 0
	}
}

// whole is at, or the start of the hole that at is in.
func (t *fixed) whole(at int) int {
	for _, holes := range [][]int{t.seqs, t.spans} {
		for _, hole := range holes {
			if hole < at && at < hole+halfID {
				return hole
			}
		}
	}
	return at
}

// within are the holes from start to end, moved.
func within(holes []int, start, end, moved int) (in []int) {
	for _, hole := range holes {
		if start <= hole && hole < end {
			in = append(in, hole+moved)
		}
	}
	return in
}

// AppendHead appends the request's head, which ends it if it has no body. It
// does not allocate if dst has room.
func (t *StreamTemplate) AppendHead(dst []byte, stream uint32, seq uint64) []byte {
	start := len(dst)
	dst = t.head.Append(dst, seq)
	for _, at := range t.streams {
		binary.BigEndian.PutUint32(dst[start+at:], stream)
	}
	return dst
}

// BodyLen is how many bytes the request's body has.
func (t *StreamTemplate) BodyLen() int { return len(t.body.text) }

// AppendData appends a frame with n bytes of the body, at most MaxFrame,
// starting at from. The last one ends the request. It does not allocate if dst
// has room.
func (t *StreamTemplate) AppendData(dst []byte, stream uint32, seq uint64, from, n int) []byte {
	flags := uint8(0)
	if from+n == len(t.body.text) {
		flags = flagEndStream
	}
	dst = appendFrameHead(dst, n, FrameData, flags, stream)
	return t.body.appendPart(dst, seq, from, n)
}

// appendPart appends n bytes of what Append does, from some byte on. They may
// begin and end within a hole.
func (t *fixed) appendPart(dst []byte, seq uint64, from, n int) []byte {
	start := len(dst)
	dst = append(dst, t.text[from:from+n]...)
	part, text := dst[start:], hex16(seq)
	for _, at := range t.seqs {
		switch at -= from; {
		case at >= n || at <= -halfID:
		case at < 0:
			copy(part, text[-at:])
		default:
			copy(part[at:], text[:])
		}
	}
	return dst
}
