package load

import (
	"encoding/json"
	"iter"
)

// valuesOf goes through the values of an object or array of valid JSON, each as it
// stands there; key is an object's, with its quotes. There are none of a plain value.
// It takes no memory, however many there are.
func valuesOf(document []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		rest := unspaced(document)
		if len(rest) == 0 || rest[0] != '{' && rest[0] != '[' {
			return
		}
		object := rest[0] == '{'
		rest = unspaced(rest[1:])
		for len(rest) > 0 && rest[0] != '}' && rest[0] != ']' {
			var key []byte
			if object {
				n := valueEnd(rest)
				key = rest[:n]
				rest = unspaced(unspaced(rest[n:])[1:]) // behind the colon
			}
			n := valueEnd(rest)
			if !yield(key, rest[:n]) {
				return
			}
			if rest = unspaced(rest[n:]); len(rest) > 0 && rest[0] == ',' {
				rest = unspaced(rest[1:])
			}
		}
	}
}

// valueEnd is where the value ends that valid JSON begins with.
func valueEnd(text []byte) int {
	for i, depth := 0, 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // of what the value is in
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

func unspaced(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t' || text[0] == '\n' || text[0] == '\r') {
		text = text[1:]
	}
	return text
}

// isKey reports whether a key as it stands in JSON is a name.
func isKey(key []byte, name string) bool {
	if string(key[1:len(key)-1]) == name {
		return true
	}
	for _, c := range key {
		if c == '\\' {
			var plain string
			return json.Unmarshal(key, &plain) == nil && plain == name
		}
	}
	return false
}

// raw is the part of valid JSON that a path leads to, as it stands there: of a key that
// is there twice the last, as everywhere.
func (p jsonPath) raw(document []byte) (part []byte, found bool) {
	for _, step := range p {
		var part []byte
		switch step := step.(type) {
		case string:
			for key, value := range valuesOf(document) {
				if key != nil && isKey(key, step) {
					part = value
				}
			}
		case int:
			n := 0
			for key, value := range valuesOf(document) {
				if key == nil && n == step {
					part = value
					break
				}
				n++
			}
		}
		if part == nil {
			return nil, false
		}
		document = part
	}
	return unspaced(document), true
}

// plain is the text of the plain value that the path leads to in valid JSON; what is
// around it takes no memory.
func (p jsonPath) plain(document []byte) (string, bool) {
	part, found := p.raw(document)
	if !found || len(part) == 0 {
		return "", false
	}
	switch part = part[:valueEnd(part)]; part[0] {
	case '{', '[', 'n': // null
		return "", false
	case '"':
		var text string
		err := json.Unmarshal(part, &text)
		return text, err == nil
	}
	return string(part), true
}
