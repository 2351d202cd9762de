package greeting

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// pg is a message of PostgreSQL's protocol.
func pg(kind byte, body string) string {
	return string(kind) + string(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))) + body
}

// my is a packet of MySQL's.
func my(seq byte, body string) string {
	return string([]byte{byte(len(body)), byte(len(body) >> 8), 0, seq}) + body
}

// frame is a method of AMQP on channel 0.
func frame(class, method uint16, rest string) string {
	body := string(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, class), method)) + rest
	return "\x01\x00\x00" + string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))) + body + "\xce"
}

const (
	authOK   = "\x00\x00\x00\x00"
	authSASL = "\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"
	tooMany  = "SFATAL\x00VFATAL\x00C53300\x00Msorry, too many clients already\x00Fproc.c\x00\x00"
	reserved = "SFATAL\x00C53300\x00Mremaining connection slots are reserved\x00\x00"
	info     = `INFO {"server_id":"N","max_payload":1048576,"connect_urls":["127.0.0.1:4222"]}` + "\r\n"
)

var greetings = []struct{ name, protocol, said, code string }{
	{"let in", Postgres, pg('R', authOK) + pg('S', "server_version\x0015\x00") + pg('K', "12345678") + pg('Z', "I"), OK},
	{"refused at once", Postgres, pg('E', tooMany), "53300"},
	{"refused behind the authentication", Postgres, pg('R', authOK) + pg('E', reserved), "53300"},
	{"refused behind a password", Postgres, pg('R', authSASL) + pg('R', "\x00\x00\x00\x0bmore") + pg('R', "\x00\x00\x00\x0cdone") + pg('R', authOK) + pg('E', reserved), "53300"},
	{"no TLS", Postgres, "N" + pg('R', authOK) + pg('Z', "I"), OK},
	{"neither GSSAPI nor TLS", Postgres, "NN" + pg('E', tooMany), "53300"},
	{"a notice first", Postgres, pg('N', "SNOTICE\x00C00000\x00Mhello\x00\x00") + pg('Z', "I"), OK},
	{"starting up", Postgres, pg('E', "SFATAL\x00C57P03\x00Mthe database system is starting up\x00\x00"), "57P03"},
	{"an error without a code", Postgres, pg('E', "SFATAL\x00Mold\x00\x00"), ""},
	{"TLS", Postgres, "S\x16\x03\x03\x00\x7a\x02\x00\x00", ""},
	{"something else", Postgres, "HTTP/1.1 400 Bad Request\r\n\r\n", ""},

	{"let in", MySQL, my(0, "\x0a8.0\x00rest of the greeting") + my(2, "\x00\x00\x00\x02\x00\x00\x00"), OK},
	{"too many", MySQL, my(0, "\xff\x10\x04Too many connections"), "1040"},
	{"wrong password", MySQL, my(0, "\x0a8.0\x00rest") + my(2, "\xfemysql_native_password\x00") + my(4, "\xff\x15\x04#28000Access denied"), "1045"},
	{"cached", MySQL, my(0, "\x0a8.0\x00rest") + my(2, "\x01\x03") + my(3, "\x00\x00\x00"), OK},
	{"TLS", MySQL, my(0, "\x0a8.0\x00rest") + "\x16\x03\x03\x00\x7a\x02\x00\x00", ""},

	{"a reply", Redis, "+OK\r\n", OK},
	{"a map", Redis, "%7\r\n$6\r\nserver\r\n", OK},
	{"an unknown command", Redis, "-ERR unknown command 'HELLO', with args beginning with: '3'\r\n", OK},
	{"too many", Redis, "-ERR max number of clients reached\r\n", "max_clients"},
	{"a password", Redis, "-NOAUTH Authentication required.\r\n", "NOAUTH"},
	{"protected", Redis, "-DENIED Redis is running in protected mode\r\n", "DENIED"},
	{"loading", Redis, "-LOADING Redis is loading the dataset in memory\r\n", "LOADING"},
	{"TLS", Redis, "\x16\x03\x03\x00\x7a", ""},

	{"let in", AMQP, frame(10, 10, "\x00\x09...") + frame(10, 30, "\x07\xff") + frame(10, 41, "\x00"), OK},
	{"limit of the host", AMQP, frame(10, 10, "\x00\x09") + frame(10, 30, "\x07\xff") + frame(10, 50, "\x02\x12\x10NOT_ALLOWED"), "530"},
	{"a heartbeat between", AMQP, "\x08\x00\x00\x00\x00\x00\x00\xce" + frame(10, 41, "\x00"), OK},
	{"another version", AMQP, "AMQP\x00\x00\x09\x01", "version"},
	{"something else", AMQP, "HTTP/1.1 400 Bad Request\r\n", ""},

	{"let in", NATS, info + "PONG\r\n", OK},
	{"verbose", NATS, info + "+OK\r\n", OK},
	{"a sign of life first", NATS, info + "PING\r\nPONG\r\n", OK},
	{"too many", NATS, info + "-ERR 'maximum connections exceeded'\r\n", "maximum_connections_exceeded"},
	{"not allowed", NATS, info + "-ERR 'Authorization Violation'\r\n", "authorization_violation"},
	{"something else", NATS, "HTTP/1.1 400 Bad Request\r\n", ""},
}

// However the bytes are cut, the code is the same, and it is known with the last of
// them and not before.
func TestGreetings(t *testing.T) {
	for _, g := range greetings {
		t.Run(g.protocol+" "+g.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, len(g.said)} {
				r := New(g.protocol)
				code, done := "", false
				for at := 0; at < len(g.said) && !done; at += size {
					code, done = r.Read([]byte(g.said[at:min(at+size, len(g.said))]))
				}
				if code != g.code || !done {
					t.Errorf("in pieces of %d: %q, done %v; want %q", size, code, done, g.code)
				}
			}
		})
	}
}

// Before a server has said enough there is no code.
func TestHalfAGreeting(t *testing.T) {
	for _, g := range greetings {
		if g.code != "53300" && g.code != "1040" && g.code != "max_clients" && g.code != "530" {
			continue
		}
		if code, done := New(g.protocol).Read([]byte(g.said[:len(g.said)-1])); done || code != "" {
			t.Errorf("%s %s: %q before its last byte", g.protocol, g.name, code)
		}
	}
}

func TestEndlessGreetingIsGivenUp(t *testing.T) {
	for protocol, piece := range map[string]string{
		Postgres: pg('N', "SNOTICE\x00\x00"), MySQL: my(0, "\x01\x02"), Redis: "-", AMQP: frame(10, 20, ""), NATS: "PING\r\n",
	} {
		r := New(protocol)
		for said := 0; ; said += len(piece) {
			if code, done := r.Read([]byte(piece)); done {
				if code != "" || said < most/2 {
					t.Errorf("%s: %q after %d bytes", protocol, code, said)
				}
				break
			}
			if said > 2*most {
				t.Errorf("%s: it is still read after %d bytes", protocol, said)
				break
			}
		}
	}
}

// A server that says a byte at a time has each message read once: event loops read it,
// beside the connections of everybody else.
func TestTrickledGreetingIsReadOnce(t *testing.T) {
	for protocol, piece := range map[string]string{
		Postgres: pg('N', "SNOTICE\x00\x00"), MySQL: my(0, "\x01\x02"), AMQP: frame(10, 20, ""), NATS: "PING\r\n",
	} {
		read := 0
		r := New(protocol)
		parse := r.parse
		r.parse = func(said []byte) (string, []byte, bool) {
			read += len(said)
			return parse(said)
		}
		said := 0
		for done := false; !done; said++ {
			_, done = r.Read([]byte{piece[said%len(piece)]})
		}
		if most := said * (len(piece) + 1); read > most {
			t.Errorf("%s: of %d bytes %d were read, want at most %d", protocol, said, read, most)
		}
	}
}

func TestCodesAreWords(t *testing.T) {
	code, _ := New(NATS).Read([]byte(info + "-ERR 'a, \"b\"\tc" + strings.Repeat("x", 100) + "'\r\n"))
	if strings.ContainsAny(code, ", \"\t\n") || len(code) > 48 {
		t.Errorf("%q", code)
	}
}

func FuzzGreetings(f *testing.F) {
	for _, g := range greetings {
		f.Add(g.said)
	}
	f.Fuzz(func(t *testing.T, said string) {
		for _, protocol := range Protocols {
			whole, wholeDone := New(protocol).Read([]byte(said))
			r := New(protocol)
			code, done := "", false
			for i := 0; i < len(said) && !done; i++ {
				code, done = r.Read([]byte(said[i : i+1]))
			}
			if len(said) < most && wholeDone && (fmt.Sprint(code, done) != fmt.Sprint(whole, wholeDone)) {
				t.Errorf("%s: %q %v at once, %q %v byte by byte", protocol, whole, wholeDone, code, done)
			}
		}
	})
}
