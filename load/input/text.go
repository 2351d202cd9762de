package input

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// byteOrderMark is what some editors write before a text in UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// NotText says why, and where, bytes are no text that can be read.
type NotText struct {
	Line, Column int    // from 1; columns count characters
	Problem      string // what is wrong
	Hint         string // what to do
}

func (e *NotText) Error() string { return fmt.Sprintf("line %d: %s: %s", e.Line, e.Problem, e.Hint) }

// Plain is the text in data, in UTF-8 without a byte order mark, its lines ended
// by LF. data is not changed, and may be returned. The error is a *NotText.
func Plain(data []byte) ([]byte, error) {
	if name := encoding(data); name != "" {
		return nil, &NotText{1, 1, "the file is " + name, "save it as UTF-8"}
	}
	data = bytes.TrimPrefix(data, byteOrderMark)
	if at := bytes.IndexByte(data, 0); at >= 0 {
		begin := bytes.LastIndexByte(data[:at], '\n') + 1
		return nil, &NotText{1 + bytes.Count(data[:at], []byte("\n")), 1 + utf8.RuneCount(data[begin:at]),
			"there is a NUL byte", "a text has none: is this the right file?"}
	}
	if bytes.Contains(data, []byte("\r\n")) {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	}
	return data, nil
}

// encoding names the one that is not UTF-8 and shows: by its byte order mark,
// or by the zeros that it has around the first two characters, which are ASCII
// in all that is read here. "" is none of them.
func encoding(data []byte) string {
	head := append(bytes.Clone(data[:min(len(data), 4)]), 1, 1, 1, 1)[:4] // what is not there is no zero
	zero := [4]bool{}
	for i, b := range head {
		zero[i] = b == 0
	}
	switch {
	case bytes.Equal(head, []byte{0xff, 0xfe, 0, 0}), bytes.Equal(head, []byte{0, 0, 0xfe, 0xff}),
		zero == [4]bool{false, true, true, true}, zero == [4]bool{true, true, true, false}:
		return "UTF-32"
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}),
		zero == [4]bool{false, true, false, true}, zero == [4]bool{true, false, true, false}:
		return "UTF-16"
	}
	return ""
}

// Shown reports whether a character is printed as it is: it is neither a control, which
// moves the cursor or colours a terminal, nor one that turns the direction of writing.
func Shown(r rune) bool { return r == ' ' || r == '\u00a0' || unicode.IsPrint(r) }

// Printable makes one line of text that others chose, to be read and to do nothing else.
// White space becomes a space; what is not Shown, or not UTF-8, is written as Go quotes
// it, like \x1b and \u202e.
func Printable(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !Shown(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case Shown(r):
			b.WriteRune(r)
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
