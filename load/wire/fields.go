package wire

// Field is one header line. Name is as it was sent; Value is without the white
// space around it. Both are slices of the parsed buffer.
type Field struct{ Name, Value []byte }

// Fields are the header lines of one message, in order.
type Fields []Field

// Get returns the value of the first field with this name; case does not
// matter. The value is a slice of the parsed buffer.
func (f Fields) Get(name string) (value []byte, ok bool) {
	for i := range f {
		if equalFold(f[i].Name, name) {
			return f[i].Value, true
		}
	}
	return nil, false
}

// HasToken reports whether a comma-separated list, such as the value of
// Connection, has this element; case does not matter.
func HasToken(list []byte, token string) bool {
	for len(list) > 0 {
		end := 0
		for end < len(list) && list[end] != ',' {
			end++
		}
		if equalFold(trim(list[:end]), token) {
			return true
		}
		list = list[min(end+1, len(list)):]
	}
	return false
}

// equalFold compares without regard to the case of ASCII letters.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if c != s[i] && lower(c) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// trim takes off spaces and tabs at both ends (OWS, RFC 9110 section 5.6.3).
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// What a byte may be part of.
const (
	inToken  = 1 << iota // a method or a field name: tchar, RFC 9110 section 5.6.2
	inValue              // a field value: visible, space, tab or above ASCII, RFC 9110 section 5.5
	inTarget             // a request target: as a value, without white space
)

var class = func() (class [256]uint8) {
	for c := range class {
		if c == '\t' || c >= ' ' && c != 0x7f {
			class[c] |= inValue
		}
		if c > ' ' && c != 0x7f {
			class[c] |= inTarget
		}
		if '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			class[c] |= inToken
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		class[c] |= inToken
	}
	return class
}()

// only reports whether all bytes of b are of the class.
func only(b []byte, of uint8) bool {
	for _, c := range b {
		if class[c]&of == 0 {
			return false
		}
	}
	return true
}
