package greeting

import "encoding/binary"

// postgres reads the start of a session (PostgreSQL's frontend/backend protocol 3.0,
// "Message Flow"): perhaps one byte that refuses encryption, then messages of
// authentication, then an ErrorResponse with an SQLSTATE in its field C, or what
// follows once the caller is in. Whether a slot is free is decided before the
// authentication for some callers and behind it for others.
func postgres(said []byte) (code string, rest []byte, more bool) {
	for {
		for len(said) > 1 && refusesEncryption(said) {
			said = said[1:]
		}
		if len(said) < 5 {
			return "", said, true
		}
		length := int(binary.BigEndian.Uint32(said[1:]))
		if length < 4 || length > most {
			return "", nil, false
		}
		if len(said) < 1+length {
			return "", said, true
		}
		body := said[5 : 1+length]
		switch said[0] {
		case 'E':
			return field(body, 'C'), nil, false
		case 'S', 'K', 'Z':
			return OK, nil, false
		case 'R', 'N', 'v':
		default:
			return "", nil, false
		}
		said = said[1+length:]
	}
}

// refusesEncryption reports whether the answer to a request for TLS or GSSAPI is here,
// which is a byte alone: behind that of a message is its length, whose first byte is 0
// for any that is read.
func refusesEncryption(said []byte) bool { return said[0] == 'N' && said[1] != 0 }

// field is a field of an ErrorResponse: a letter, and a text up to a zero byte.
func field(body []byte, letter byte) string {
	for len(body) > 0 && body[0] != 0 {
		end := 1
		for end < len(body) && body[end] != 0 {
			end++
		}
		if body[0] == letter {
			return word(body[1:end])
		}
		body = body[min(end+1, len(body)):]
	}
	return ""
}
