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

// parser reads all that a server has said so far. The code is "" if it cannot be
// read; more is whether it takes further bytes to tell.
type parser func(said []byte) (code string, more bool)

var parsers = map[string]parser{Postgres: postgres, MySQL: mysql, Redis: redis, AMQP: amqp, NATS: nats}

// Reader reads the beginning of one connection.
type Reader struct {
	parse parser
	said  []byte
}

// New returns a reader of a protocol, which must be one of Protocols.
func New(protocol string) *Reader { return &Reader{parse: parsers[protocol]} }

// Read takes in what the server has said next, which is not kept. Once it is done the
// code is "ok", what the server refuses with, or "" for what cannot be read.
func (r *Reader) Read(b []byte) (code string, done bool) {
	r.said = append(r.said, b[:min(len(b), most-len(r.said))]...)
	code, more := r.parse(r.said)
	if more && len(r.said) < most {
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
