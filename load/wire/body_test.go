package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// chunkedBodies are bodies with what follows them on the connection.
var chunkedBodies = []struct {
	name, wire string
	payload    string
	rest       string // bytes behind the body
	err        error
	short      bool // the body is not complete
}{
	{name: "empty", wire: "0\r\n\r\nGET", rest: "GET"},
	{name: "one chunk", wire: "3\r\nabc\r\n0\r\n\r\n", payload: "abc"},
	{name: "two chunks", wire: "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nx", payload: "abc0123456789", rest: "x"},
	{name: "payload that looks like framing", wire: "5\r\n0\r\n\r\n\r\n0\r\n\r\n", payload: "0\r\n\r\n"},
	{name: "leading zeros", wire: "003\r\nabc\r\n000\r\n\r\n", payload: "abc"},
	{name: "space behind the size", wire: "3 \t\r\nabc\r\n0\r\n\r\n", payload: "abc"},
	{name: "extensions", wire: "3;a;b=\"c \xe9\"\r\nabc\r\n0;d\r\n\r\n", payload: "abc"},
	{name: "trailers", wire: "0\r\nA: b\r\nC:\r\n\r\nx", rest: "x"},
	{name: "15 digits", wire: "000000000000003\r\nabc\r\n0\r\n\r\n", payload: "abc"},

	{name: "nothing yet", wire: "", short: true},
	{name: "cut in the size", wire: "3", short: true},
	{name: "cut in the payload", wire: "3\r\nab", payload: "ab", short: true},
	{name: "cut behind the last chunk", wire: "0\r\n", short: true},
	{name: "cut before the last LF", wire: "0\r\n\r", short: true},

	{name: "no size", wire: "\r\n", err: errChunkSize},
	{name: "extension without size", wire: ";a\r\n", err: errChunkSize},
	{name: "space before the size", wire: " 3\r\nabc\r\n", err: errChunkSize},
	{name: "negative size", wire: "-1\r\n", err: errChunkSize},
	{name: "0x", wire: "0x3\r\nabc\r\n", err: errChunkSize},
	{name: "not a digit", wire: "3g\r\nabc\r\n", err: errChunkSize},
	{name: "16 digits", wire: "0000000000000003\r\nabc\r\n", err: errChunkSize},
	{name: "size past 2^64", wire: "10000000000000003\r\nabc\r\n", err: errChunkSize},
	{name: "LF behind the size", wire: "3\nabc\r\n", err: errChunkSize},
	{name: "CR without LF", wire: "3\rabc\r\n", err: errChunkLine},
	{name: "extension behind space", wire: "3 ;a\r\nabc\r\n", err: errChunkLine},
	{name: "LF in an extension", wire: "3;a\nabc\r\n0\r\n\r\n", err: errChunkLine},
	{name: "CR in an extension", wire: "3;a\rb\r\nabc\r\n", err: errChunkLine},
	{name: "NUL in an extension", wire: "3;\x00\r\nabc\r\n", err: errChunkLine},
	{name: "payload longer than its size", wire: "3\r\nabcd\r\n", payload: "abc", err: errChunkEnd},
	{name: "LF behind the payload", wire: "3\r\nabc\n0\r\n\r\n", payload: "abc", err: errChunkEnd},
	{name: "CR behind the payload", wire: "3\r\nabc\rx", payload: "abc", err: errChunkEnd},
	{name: "trailer without colon", wire: "0\r\nabc\r\n\r\n", err: errTrailer},
	{name: "folded trailer", wire: "0\r\nA: b\r\n c\r\n\r\n", err: errTrailer},
	{name: "space before a trailer's colon", wire: "0\r\nA : b\r\n\r\n", err: errTrailer},
	{name: "trailer without name", wire: "0\r\n: b\r\n\r\n", err: errTrailer},
	{name: "LF behind a trailer", wire: "0\r\nA: b\n\r\n", err: errTrailer},
	{name: "LF behind the last chunk", wire: "0\r\n\n", err: errTrailer},
	{name: "CR behind the last chunk", wire: "0\r\n\rx", err: errTrailer},
}

func TestChunkedBody(t *testing.T) {
	for _, c := range chunkedBodies {
		t.Run(c.name, func(t *testing.T) {
			b := newBody(Chunked, 0)
			n, done, err := b.Next([]byte(c.wire))
			if err != c.err || done != (c.err == nil && !c.short) {
				t.Fatalf("done %t, error %v; want %t, %v", done, err, !c.short, c.err)
			}
			switch {
			case err != nil:
				if _, _, again := b.Next([]byte("0\r\n\r\n")); again != err || b.EOF() != err {
					t.Errorf("goes on after %v: %v", err, again)
				}
			case c.short:
				if n != len(c.wire) || b.EOF() != io.ErrUnexpectedEOF {
					t.Errorf("took %d of %d; at EOF %v", n, len(c.wire), b.EOF())
				}
			default:
				if rest := c.wire[n:]; rest != c.rest || b.EOF() != nil {
					t.Errorf("left %q, want %q; at EOF %v", rest, c.rest, b.EOF())
				}
			}
			payload := ""
			b = newBody(Chunked, 0)
			for wire := []byte(c.wire); ; {
				n, isPayload, err := b.Span(wire)
				if isPayload {
					payload += string(wire[:n])
				}
				if wire = wire[n:]; n == 0 || err != nil {
					break
				}
			}
			if payload != c.payload {
				t.Errorf("payload %q, want %q", payload, c.payload)
			}
		})
	}
}

func TestChunkedBodyBounds(t *testing.T) {
	padded := func(extension int) string { return "1;" + strings.Repeat("x", extension) + "\r\na\r\n" }
	const end = "0\r\n\r\n"
	for _, c := range []struct {
		name, wire string
		err        error
	}{
		// A header of size digit, semicolon, extension, CR and LF.
		{"longest header", padded(maxChunkLine-4) + end, nil},
		{"a byte more", padded(maxChunkLine-3) + end, errChunkLineSize},
		// Each chunk spends 122+4 and is granted 16+2: 108 are over, and
		// 151 × 108 = 16,308 ≤ 16,384 < 16,416 = 152 × 108. The last chunk
		// is granted more than its 3.
		{"most overhead", strings.Repeat(padded(122), 151) + end, nil},
		{"a chunk more", strings.Repeat(padded(122), 152) + end, errChunkOverhead},
		{"a byte at a time", strings.Repeat("1\r\na\r\n", 10_000) + end, nil},
		{"most trailers", "0\r\n" + strings.Repeat("A: b\r\n", MaxFields) + "\r\n", nil},
		{"a trailer more", "0\r\n" + strings.Repeat("A: b\r\n", MaxFields+1) + "\r\n", errTrailerFields},
		{"largest trailers", "0\r\nA:" + strings.Repeat("b", MaxHead-6) + "\r\n\r\n", nil}, // A : CR LF CR LF
		{"a byte more of them", "0\r\nA:" + strings.Repeat("b", MaxHead-5) + "\r\n\r\n", errTrailerSize},
	} {
		b := newBody(Chunked, 0)
		_, done, err := b.Next([]byte(c.wire))
		if err != c.err || done != (err == nil) || err != nil && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: done %t, error %v; want %v", c.name, done, err, c.err)
		}
	}
}

func TestOtherBodies(t *testing.T) {
	for _, c := range []struct {
		name  string
		body  Body
		reads []string
		took  []int
		done  bool // after the last read
		eof   error
	}{
		{"none", Body{}, []string{"GET"}, []int{0}, true, nil},
		{"length in one read", newBody(Length, 3), []string{"abcGET"}, []int{3}, true, nil},
		{"length in three", newBody(Length, 5), []string{"ab", "", "cdeGET"}, []int{2, 0, 3}, true, nil},
		{"length, cut short", newBody(Length, 5), []string{"ab"}, []int{2}, false, io.ErrUnexpectedEOF},
		{"length, nothing came", newBody(Length, 5), nil, nil, false, io.ErrUnexpectedEOF},
		{"until close", newBody(UntilClose, 0), []string{"ab", "", "c"}, []int{2, 0, 1}, false, nil},
	} {
		done := c.body.Done()
		for i, read := range c.reads {
			var n int
			var err error
			n, done, err = c.body.Next([]byte(read))
			if n != c.took[i] || err != nil {
				t.Errorf("%s, read %d: took %d, error %v; want %d", c.name, i, n, err, c.took[i])
			}
		}
		if done != c.done || c.body.Done() != c.done || c.body.EOF() != c.eof {
			t.Errorf("%s: done %t, at EOF %v; want %t, %v", c.name, done, c.body.EOF(), c.done, c.eof)
		}
	}
}

func TestBodyLeft(t *testing.T) {
	b := newBody(Length, 5)
	b.Next([]byte("ab"))
	if left, known := b.Left(); left != 3 || !known {
		t.Errorf("left %d, %t; want 5 − 2", left, known)
	}
	b = newBody(Chunked, 0)
	if _, known := b.Left(); known {
		t.Error("a chunked body cannot know what is left")
	}
	b.Next([]byte("0\r\n\r\n"))
	if left, known := b.Left(); left != 0 || !known {
		t.Errorf("left %d, %t; want 0 of a complete body", left, known)
	}
}
