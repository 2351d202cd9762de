package greeting

import (
	"bytes"
	"strings"
)

// nats reads lines: the server introduces itself with INFO, and what follows says
// whether the caller is in. It may ask for a sign of life before that.
func nats(said []byte) (code string, more bool) {
	for {
		line, rest, found := bytes.Cut(said, []byte("\r\n"))
		if !found {
			return "", true
		}
		verb, text, _ := strings.Cut(string(line), " ")
		switch strings.ToUpper(verb) {
		case "INFO", "PING":
		case "-ERR":
			return word([]byte(strings.ToLower(strings.Trim(text, "' ")))), false
		case "+OK", "PONG", "MSG", "HMSG":
			return OK, false
		default:
			return "", false
		}
		said = rest
	}
}
