package reports

import (
	"bytes"
	"encoding/json"
)

// indented is v as a JSON document that people can read: indented as json.MarshalIndent
// does it, but a list of figures is one line, however long it is: of numbers, truth
// values and nulls, or of objects that have nothing else in them.
func indented(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(len(text) + len(text)/4)
	depth := 0
	line := func() {
		out.WriteByte('\n')
		for range depth {
			out.WriteString("  ")
		}
	}
	for i := 0; i < len(text); {
		c := text[i]
		n := 1
		switch c {
		case '"':
			n = stringLength(text[i:])
		case '[', '{':
			if text[i+1] == c+2 { // ']' and '}' come two behind
				n = 2
			} else if figures := figuresLength(text[i:]); figures > 0 {
				n = figures
			}
		}
		if c == ']' || c == '}' {
			depth--
			line()
		}
		out.Write(text[i : i+n])
		i += n
		if n > 1 {
			continue
		}
		switch c {
		case '[', '{':
			depth++
			line()
		case ',':
			line()
		case ':':
			out.WriteByte(' ')
		}
	}
	return out.Bytes(), nil
}

// stringLength is that of the string that text begins with.
func stringLength(text []byte) int {
	for i := 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// figuresLength is that of the list of figures that text begins with; 0 if that is
// none.
func figuresLength(text []byte) int {
	if text[0] != '[' {
		return 0
	}
	within := false // an object
	for i := 1; ; i++ {
		switch text[i] {
		case '"':
			i += stringLength(text[i:])
			if text[i] != ':' {
				return 0 // it is no key
			}
		case '{':
			if within {
				return 0
			}
			within = true
		case '}':
			within = false
		case '[':
			return 0
		case ']':
			return i + 1
		}
	}
}
