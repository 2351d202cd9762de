package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// jsonPath leads to a value: names are strings, indices are ints.
type jsonPath []any

// parseJSONPath reads $, .name, ["name"] and [0], one after the other.
func parseJSONPath(text string) (jsonPath, error) {
	bad := fmt.Errorf("%q is not a path like $.a.b[0].c", text)
	rest, found := strings.CutPrefix(text, "$")
	if !found {
		return nil, bad
	}
	path := jsonPath{}
	for rest != "" {
		end := len(rest)
		switch {
		case rest[0] == '.':
			if n := strings.IndexAny(rest[1:], ".["); n >= 0 {
				end = n + 1
			}
			if end == 1 {
				return nil, bad
			}
			path = append(path, rest[1:end])
		case strings.HasPrefix(rest, `["`):
			quoted, err := strconv.QuotedPrefix(rest[1:])
			end = len(quoted) + 2
			if err != nil || !strings.HasPrefix(rest[end-1:], "]") {
				return nil, bad
			}
			name, _ := strconv.Unquote(quoted) // it is quoted
			path = append(path, name)
		case rest[0] == '[':
			end = strings.IndexByte(rest, ']') + 1
			if end == 0 {
				return nil, bad
			}
			index, err := strconv.ParseUint(rest[1:end-1], 10, 31)
			if err != nil {
				return nil, bad
			}
			path = append(path, int(index))
		default:
			return nil, bad
		}
		rest = rest[end:]
	}
	return path, nil
}

// in finds the value in a document. found is false if it is not there, or the
// document is not JSON.
func (p jsonPath) in(document []byte) (value any, found bool) {
	if !json.Valid(document) {
		return nil, false
	}
	part, found := p.raw(document)
	if !found {
		return nil, false
	}
	in := json.NewDecoder(bytes.NewReader(part)) // it stops at the value's end
	in.UseNumber()
	found = in.Decode(&value) == nil
	return value, found
}

// jsonValue is what a value in a document must be.
type jsonValue struct {
	text   string // a string with this text
	quoted bool   // and nothing else
}

func newJSONValue(text string) jsonValue {
	plain := unquote(text)
	return jsonValue{text: plain, quoted: plain != text}
}

func (v jsonValue) is(value any, found bool) bool {
	if !found {
		return false
	}
	switch value := value.(type) {
	case string:
		return value == v.text && (v.quoted || !v.isLiteral())
	case json.Number:
		return !v.quoted && sameNumber(string(value), v.text)
	case bool:
		return !v.quoted && strconv.FormatBool(value) == v.text
	case nil:
		return !v.quoted && v.text == "null"
	default: // an object or an array
		return false
	}
}

// isLiteral reports whether the text without quotes is no string.
func (v jsonValue) isLiteral() bool {
	return v.text == "true" || v.text == "false" || v.text == "null" || isNumber(v.text)
}

func isNumber(text string) bool {
	return text != "" && (text[0] == '-' || '0' <= text[0] && text[0] <= '9') && json.Valid([]byte(text))
}

// sameNumber compares whole numbers digit by digit, as they may be larger than
// what a float64 tells apart, and others as float64.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	whole := func(text string) bool { return !strings.ContainsAny(text, ".eE") }
	if !isNumber(b) || whole(a) && whole(b) {
		return false
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y
}
