package greeting

import "bytes"

// redis reads the first line: an error is one that the server gives a connection
// before it looks at a command, or one about who may command. -ERR is also what an
// unknown command gets, so that of those only the one about clients refuses.
func redis(said []byte) (code string, rest []byte, more bool) {
	line, _, found := bytes.Cut(said, []byte("\r\n"))
	switch {
	case len(said) > 0 && bytes.IndexByte([]byte("+:$*%_#,(~>"), said[0]) >= 0:
		return OK, nil, false
	case len(said) > 0 && said[0] != '-':
		return "", nil, false
	case !found:
		return "", said, true
	case bytes.HasPrefix(line, []byte("-ERR max number of clients")):
		return "max_clients", nil, false
	}
	first, _, _ := bytes.Cut(line[1:], []byte(" "))
	if string(first) == "ERR" {
		return OK, nil, false
	}
	return word(first), nil, false
}
