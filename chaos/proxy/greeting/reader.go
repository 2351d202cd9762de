package greeting

import "slices"

// OK is the code of a connection that the server has let in.
const OK = "ok"

// The protocols that can be read.
const (
	Postgres = "postgres"
	MySQL    = "mysql"
	Redis    = "redis"
	AMQP     = "amqp"
	NATS     = "nats"
)

// Protocols are the names of those that can be read.
var Protocols = []string{Postgres, MySQL, Redis, AMQP, NATS}

// most is how many bytes a server may say before it is clear: more than any of the
// protocols takes.
const most = 16 << 10

// parser reads what a server has said so far, from where a message may begin. The code
// is "" if it cannot be read; more is whether it takes further bytes to tell, which it is
// given behind rest: the end of said that it has not read.
type parser func(said []byte) (code string, rest []byte, more bool)

var parsers = map[string]parser{Postgres: postgres, MySQL: mysql, Redis: redis, AMQP: amqp, NATS: nats}

// Reader reads the beginning of one connection.
type Reader struct {
	parse parser
	said  []byte // that was not read
	size  int    // of all that was said
}

// New returns a reader of a protocol, which must be one of Protocols.
func New(protocol string) *Reader { return &Reader{parse: parsers[protocol]} }

// Read takes in what the server has said next, which is not kept. Once it is done the
// code is "ok", what the server refuses with, or "" for what cannot be read.
func (r *Reader) Read(b []byte) (code string, done bool) {
	b = b[:min(len(b), most-r.size)]
	r.said, r.size = append(r.said, b...), r.size+len(b)
	code, rest, more := r.parse(r.said)
	if more && r.size < most {
		r.said = append(r.said[:0], rest...) // or a server that says a byte at a time has all of it read again each time
		return "", false
	}
	return code, true
}

// word is a text of a server as a code: its first bytes, with nothing in it that
// parts a line.
func word(text []byte) string {
	const longest = 48
	out := slices.Clone(text[:min(len(text), longest)])
	for i, c := range out {
		if c <= ' ' || c >= 0x7f || c == ',' || c == '"' {
			out[i] = '_'
		}
	}
	return string(out)
}
