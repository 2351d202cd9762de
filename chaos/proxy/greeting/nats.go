package greeting

import (
	"bytes"
	"strings"
)

// nats reads lines: the server introduces itself with INFO, and what follows says
// whether the caller is in. It may ask for a sign of life before that.
func nats(said []byte) (code string, rest []byte, more bool) {
	for {
		line, behind, found := bytes.Cut(said, []byte("\r\n"))
		if !found {
			return "", said, true
		}
		verb, text, _ := strings.Cut(string(line), " ")
		switch strings.ToUpper(verb) {
		case "INFO", "PING":
		case "-ERR":
			return word([]byte(strings.ToLower(strings.Trim(text, "' ")))), nil, false
		case "+OK", "PONG", "MSG", "HMSG":
			return OK, nil, false
		default:
			return "", nil, false
		}
		said = behind
	}
}
