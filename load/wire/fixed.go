package wire

import (
	"slices"
	"strings"
)

// fixed is a text whose holes are all of the request's id, so that its length is
// always the same.
type fixed struct {
	text []byte
	seqs []int // where the 16 digits of an id's second half go
}

// addParts appends parts that are all of fixed length.
func (t *fixed) addParts(parts []part) {
	for _, p := range parts {
		t.text = append(t.text, p.text...)
		if p.kind == digits {
			t.seqs = append(t.seqs, len(t.text))
			t.text = append(t.text, strings.Repeat("0", halfID)...)
		}
	}
}

// Append appends the text for request number seq.
func (t *fixed) Append(dst []byte, seq uint64) []byte {
	start := len(dst)
	dst = append(dst, t.text...)
	request, text := dst[start:], hex16(seq)
	for _, at := range t.seqs {
		copy(request[at:], text[:])
	}
	return dst
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

// has reports whether a header is given.
func has(headers [][2]string, name string) bool {
	return slices.ContainsFunc(headers, func(h [2]string) bool { return strings.EqualFold(h[0], name) })
}
