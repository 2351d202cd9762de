package wire

import (
	"bytes"
	"math"
)

// head is what the fields of a message say about its framing and about its
// connection, gathered while they are parsed.
type head struct {
	length   int64  // Content-Length; -1 if there is none
	digits   []byte // the same as it was sent
	coded    bool   // there is a Transfer-Encoding
	chunked  bool   // the last of its codings is chunked
	close    bool   // Connection: close
	keep     bool   // Connection: keep-alive
	switches bool   // Connection: upgrade
	upgrade  bool   // there is an Upgrade field
	expect   bool   // Expect: 100-continue
	hosts    int    // Host fields
}

// nextLine returns the line that starts at pos without its ending, and where
// the one behind it starts: 0 if the line is not all there yet.
func nextLine(buf []byte, pos int, bareLF bool) (line []byte, next int, err error) {
	i := bytes.IndexByte(buf[pos:], '\n')
	if i < 0 {
		return nil, 0, nil
	}
	line, next = buf[pos:pos+i], pos+i+1
	if i > 0 && line[i-1] == '\r' {
		return line[:i-1], next, nil
	}
	if !bareLF {
		return nil, 0, errBareLF
	}
	return line, next, nil
}

// parse reads header lines from pos on, up to and with the blank line. It
// appends them to fields, and returns where the head ends: 0 if it is not all
// there yet.
func (h *head) parse(fields *Fields, buf []byte, pos int, bareLF bool) (end int, err error) {
	*h = head{length: -1}
	for {
		line, next, err := nextLine(buf, pos, bareLF)
		if err != nil || next == 0 {
			return 0, err
		}
		if len(line) == 0 {
			return next, nil
		}
		if len(*fields) == MaxFields {
			return 0, errFields
		}
		f, err := parseField(line)
		if err != nil {
			return 0, err
		}
		if next == len(buf) {
			return 0, nil // the next line may go on with this one
		}
		if goesOn(buf[next]) {
			if f.Value, next, err = unfold(f, buf, next, bareLF); err != nil || next == 0 {
				return 0, err
			}
		}
		if err := h.note(f); err != nil {
			return 0, err
		}
		*fields = append(*fields, f)
		pos = next
	}
}

func parseField(line []byte) (Field, error) {
	colon := 0
	for colon < len(line) && class[line[colon]]&inToken != 0 {
		colon++
	}
	switch {
	case line[0] == ' ' || line[0] == '\t':
		return Field{}, errFolded
	case colon == 0 || colon == len(line) || line[colon] != ':':
		return Field{}, errFieldName
	}
	value := trim(line[colon+1:])
	if !only(value, inValue) {
		return Field{}, errFieldValue
	}
	return Field{Name: line[:colon], Value: value}, nil
}

// note remembers what a field says about framing and connection.
func (h *head) note(f Field) error {
	switch len(f.Name) { // most fields are told apart by their length alone
	case len("Host"):
		if equalFold(f.Name, "Host") {
			h.hosts++
		}
	case len("Expect"):
		if equalFold(f.Name, "Expect") && equalFold(f.Value, "100-continue") {
			h.expect = true
		}
	case len("Upgrade"):
		if equalFold(f.Name, "Upgrade") {
			h.upgrade = true
		}
	case len("Connection"):
		if equalFold(f.Name, "Connection") {
			h.close = h.close || HasToken(f.Value, "close")
			h.keep = h.keep || HasToken(f.Value, "keep-alive")
			h.switches = h.switches || HasToken(f.Value, "upgrade")
		}
	case len("Content-Length"):
		if equalFold(f.Name, "Content-Length") {
			return h.noteLength(f.Value)
		}
	case len("Transfer-Encoding"):
		if equalFold(f.Name, "Transfer-Encoding") {
			return h.noteCodings(f.Value)
		}
	}
	return nil
}

// noteLength takes in a Content-Length. The same number may be there many times,
// in fields of their own and in one that is a list (RFC 9110 section 8.6).
func (h *head) noteLength(list []byte) error {
	for rest, more := list, true; more; {
		var one []byte
		one, rest, more = nextElement(rest)
		if h.length >= 0 && bytes.Equal(h.digits, one) {
			continue
		}
		n, ok := parseUint(one)
		if !ok {
			return errLength
		}
		if h.length >= 0 {
			return errLengths
		}
		h.length, h.digits = n, one
	}
	return nil
}

// noteCodings takes in a Transfer-Encoding: codings without parameters, chunked
// once and as the last one. identity was a coding once, which some ignore still.
func (h *head) noteCodings(list []byte) error {
	for rest, more := list, true; more; {
		var one []byte
		one, rest, more = nextElement(rest)
		if h.chunked || len(one) == 0 || !only(one, inToken) || equalFold(one, "identity") {
			return errCoding
		}
		h.coded, h.chunked = true, equalFold(one, "chunked")
	}
	return nil
}

// nextElement takes the first element off a list, without the white space around
// it; more reports whether others follow in rest.
func nextElement(list []byte) (one, rest []byte, more bool) {
	one, rest, more = bytes.Cut(list, comma)
	return trim(one), rest, more
}

var comma = []byte(",")

// framing is how the body of a message ends that may have one, RFC 9112 section
// 6.3. Of a request without a length it is NoBody, of a response UntilClose:
// that is otherwise.
func (h *head) framing(minor int, otherwise Framing) (Framing, error) {
	switch {
	case h.coded && minor == 0:
		return NoBody, errOldCoding
	case h.chunked:
		return Chunked, nil
	case h.coded && otherwise == NoBody:
		return NoBody, errCoding
	case h.coded:
		return UntilClose, nil
	case h.length > 0:
		return Length, nil
	case h.length == 0:
		return NoBody, nil
	default:
		return otherwise, nil
	}
}

// doubtful reports whether there are readers that take the body for another one.
func (h *head) doubtful() bool { return h.coded && (h.length >= 0 || !h.chunked) }

// closes reports whether the connection ends behind this message and its answer
// (RFC 9112 section 9.3).
func (h *head) closes(minor int) bool { return h.close || minor == 0 && !h.keep }

// parseUint reads decimal digits and nothing else.
func parseUint(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}
