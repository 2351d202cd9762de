package wire

import (
	"fmt"
	"strings"
)

// fixed is a text whose holes are all of the request's id, so that its length is
// always the same.
type fixed struct {
	text  []byte
	seqs  []int // where the 16 digits of the seq go
	spans []int // where the 16 digits of a traceparent's parent id go
}

// add appends text, with run in the place of each Placeholder and a hole behind
// it.
func (t *fixed) add(text string, run uint64) {
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

// addTrace appends the value of a traceparent.
func (t *fixed) addTrace(run uint64) {
	t.add("00-"+Placeholder+"-", run)
	t.spans = append(t.spans, len(t.text))
	t.add(strings.Repeat("0", halfID)+"-01", run)
}

// Append appends the text for request number seq.
func (t *fixed) Append(dst []byte, seq uint64) []byte {
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

// filled is how long a text is once its ids are filled in.
func filled(text string) int {
	return len(text) + strings.Count(text, Placeholder)*(idWidth-len(Placeholder))
}

// has tells whether a header is given.
func has(headers [][2]string, name string) bool {
	for _, h := range headers {
		if strings.EqualFold(h[0], name) {
			return true
		}
	}
	return false
}

// checkFixed refuses placeholders whose values vary in length, which frames
// encoded beforehand have no room for.
func checkFixed(path string, headers [][2]string, body []byte) error {
	texts := [][2]string{{"path", path}, {"body", string(body)}}
	for _, h := range headers {
		texts = append(texts, [2]string{"header " + h[0], h[1]})
	}
	for _, t := range texts {
		if rest := strings.ReplaceAll(t[1], Placeholder, ""); strings.Contains(rest, "${") {
			return fmt.Errorf("%s: over HTTP/2 there is no placeholder but ${id}", t[0])
		}
	}
	return nil
}
