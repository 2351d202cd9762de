package load

import (
	"io"
	"net"
	"strings"
	"testing"
)

// whole is what a server sends of a response in each dialect; "" where there is no
// such thing in it. Of HTTP/1.1 all of the response, after which the connection
// is closed; of HTTP/2 and gRPC frames on stream 1.
type whole struct {
	name            string
	http1, h2, grpc string
	head            bool // to a HEAD
	want            Outcome
}

const (
	grpcOK       = "\x00\x0bgrpc-status\x010"
	noLength     = "\x88"
	length2      = "\x88\x0f\x0d\x012"
	emptyMessage = "\x00\x00\x00\x00\x00" // of no bytes
	length5      = "\x88\x0f\x0d\x015"
)

// A response is whole in every dialect or it is no success.
var wholes = []whole{
	{name: "sound", http1: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		h2:   frame(headers, 4, 1, length2) + frame(data, 1, 1, "ok"),
		grpc: frame(headers, 4, 1, length5) + frame(data, 0, 1, emptyMessage) + frame(headers, 5, 1, grpcOK), want: OK},
	{name: "length, and no body to a HEAD", head: true, http1: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
		h2: frame(headers, 5, 1, length2), want: OK},
	{name: "304 with the length of what it stands for", http1: "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
		h2: frame(headers, 5, 1, "\x8b\x0f\x0d\x012"), want: OK},
	{name: "no length", http1: "HTTP/1.1 200 OK\r\n\r\nok", h2: frame(headers, 4, 1, noLength) + frame(data, 1, 1, "ok"),
		grpc: frame(headers, 4, 1, noLength) + frame(data, 0, 1, emptyMessage) + frame(headers, 5, 1, grpcOK), want: OK},
	{name: "trailers behind a body", http1: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n",
		h2: frame(headers, 4, 1, length2) + frame(data, 0, 1, "ok") + frame(headers, 5, 1, "\x00\x01x\x01y"), want: OK},

	{name: "shorter than its length", http1: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
		h2:   frame(headers, 4, 1, "\x88\x0f\x0d\x013") + frame(data, 1, 1, "ok"),
		grpc: frame(headers, 4, 1, "\x88\x0f\x0d\x016") + frame(data, 0, 1, emptyMessage) + frame(headers, 5, 1, grpcOK), want: Malformed},
	{name: "nothing of its length", http1: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", h2: frame(headers, 5, 1, length2),
		grpc: frame(headers, 5, 1, length5+grpcOK), want: Malformed},
	{name: "nothing of its length, and trailers", h2: frame(headers, 4, 1, length2) + frame(headers, 5, 1, "\x00\x01x\x01y"),
		grpc: frame(headers, 4, 1, length5) + frame(headers, 5, 1, grpcOK), want: Malformed},
	{name: "longer than its length", h2: frame(headers, 4, 1, length2) + frame(data, 1, 1, "ok!"),
		grpc: frame(headers, 4, 1, "\x88\x0f\x0d\x014") + frame(data, 0, 1, emptyMessage) + frame(headers, 5, 1, grpcOK), want: Malformed},
	{name: "longer, and not ended", h2: frame(headers, 4, 1, length2) + frame(data, 0, 1, "ok!"), want: Malformed},
	{name: "a body to a HEAD", head: true, h2: frame(headers, 4, 1, length2) + frame(data, 1, 1, "ok"), want: Malformed},
	{name: "a body of a 304", h2: frame(headers, 4, 1, "\x8b") + frame(data, 1, 1, "ok"), want: Malformed},
	{name: "two lengths", http1: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
		h2: frame(headers, 4, 1, length2+"\x0f\x0d\x013") + frame(data, 1, 1, "ok"), want: Malformed},
	{name: "no number for a length", http1: "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
		h2: frame(headers, 4, 1, "\x88\x0f\x0d\x03two") + frame(data, 1, 1, "ok"), want: Malformed},
	{name: "switching protocols", http1: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		h2: frame(headers, 5, 1, "\x08\x03101"), grpc: frame(headers, 5, 1, "\x08\x03101"+grpcOK), want: Malformed},
	{name: "a control character in a field", http1: "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok",
		h2:   frame(headers, 4, 1, length2+"\x00\x01x\x03a\x00b") + frame(data, 1, 1, "ok"),
		grpc: frame(headers, 4, 1, length5+"\x00\x01x\x03a\x00b") + frame(data, 0, 1, emptyMessage) + frame(headers, 5, 1, grpcOK), want: Malformed},
	{name: "a name that is none", http1: "HTTP/1.1 200 OK\r\nX y: ab\r\nContent-Length: 2\r\n\r\nok",
		h2: frame(headers, 4, 1, length2+"\x00\x03x y\x02ab") + frame(data, 1, 1, "ok"), want: Malformed},
	{name: "capitals", h2: frame(headers, 4, 1, length2+"\x00\x01X\x02ab") + frame(data, 1, 1, "ok"),
		grpc: frame(headers, 4, 1, noLength) + frame(data, 0, 1, emptyMessage) + frame(headers, 5, 1, grpcOK+"\x00\x01X\x02ab"), want: Malformed},
	{name: "a field of connections", h2: frame(headers, 4, 1, length2+"\x00\x0aconnection\x05close") + frame(data, 1, 1, "ok"),
		grpc: frame(headers, 4, 1, noLength+"\x00\x0aconnection\x05close") + frame(data, 0, 1, emptyMessage) + frame(headers, 5, 1, grpcOK), want: Malformed},
	{name: "a status in trailers", h2: frame(headers, 4, 1, length2) + frame(data, 0, 1, "ok") + frame(headers, 5, 1, "\x88"), want: Malformed},
	{name: "a call without its status", grpc: frame(headers, 4, 1, noLength) + frame(data, 0, 1, emptyMessage) + frame(headers, 5, 1, "\x00\x01x\x01y"), want: Malformed},
	{name: "a call whose body just ends", grpc: frame(headers, 4, 1, noLength) + frame(data, 1, 1, emptyMessage), want: Malformed},
	{name: "a message that is cut", grpc: frame(headers, 4, 1, noLength) + frame(data, 0, 1, "\x00\x00\x00\x00\x02o") + frame(headers, 5, 1, grpcOK), want: Malformed},
	{name: "a message with more behind it", grpc: frame(headers, 4, 1, noLength) + frame(data, 0, 1, emptyMessage+"x") + frame(headers, 5, 1, grpcOK), want: Malformed},
	{name: "no message", grpc: frame(headers, 4, 1, noLength) + frame(headers, 5, 1, grpcOK), want: Malformed},

	{name: "a head past our bounds", http1: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 4<<20) + "\r\nContent-Length: 2\r\n\r\nok",
		h2:   large(1, 20) + frame(data, 1, 1, "ok"),
		grpc: large(1, 20) + frame(data, 0, 1, emptyMessage) + frame(headers, 5, 1, grpcOK), want: TooLarge},
}

// large is a head of HTTP/2 with a field of so many frames.
func large(stream uint32, n int) string {
	const each = 1 << 14
	length := n*each - 1 // behind the prefix of seven bits, in three digits
	length -= 127
	field := "\x00\x01x\x7f" + string([]byte{byte(length) | 0x80, byte(length>>7) | 0x80, byte(length >> 14)})
	text := frame(headers, 0, stream, "\x88"+field)
	for range n - 1 {
		text += frame(continuation, 0, stream, strings.Repeat("x", each))
	}
	return text + frame(continuation, 4, stream, strings.Repeat("x", each-1))
}

func TestResponsesAreWholeInEveryDialect(t *testing.T) {
	for _, w := range wholes {
		for protocol, answer := range map[string]string{HTTP1: w.http1, HTTP2: w.h2, GRPC: w.grpc} {
			if answer == "" {
				continue
			}
			t.Run(w.name+" over "+protocol, func(t *testing.T) {
				t.Parallel()
				serve := func(c net.Conn) {
					if _, err := c.Read(make([]byte, 4096)); err == nil {
						io.WriteString(c, answer)
					}
				}
				if protocol != HTTP1 {
					serve = frames(noSettings, func(c net.Conn, kind, _ byte, stream uint32, _ string) bool {
						if kind == headers && stream == 1 {
							io.WriteString(c, answer)
						}
						return true
					})
				}
				route := Route{Addr: listen(t, serve).addr, Protocol: protocol, Timeout: patient}
				switch {
				case w.head:
					route.Method = "HEAD"
				case protocol == GRPC:
					route.Path, route.Body = "/a.B/C", []byte{}
				}
				got := mustCollect(t, Plan{Schedule: at(0), Run: 1, Loops: 1, MaxConns: 1, Routes: []Route{route}})[0]
				want := w.want
				if protocol == HTTP1 && want == Malformed && got.Outcome == Reset {
					want = Reset // it ended before it was complete
				}
				if got.Outcome != want {
					t.Errorf("got %v, want %v", got.Outcome, want)
				}
			})
		}
	}
}

// A head that is past our bound costs its own stream, and its neighbours nothing:
// not the connection, nor what they remember.
func TestHTTP2LargeHeadIsItsOwnStreams(t *testing.T) {
	peer := listen(t, frames(noSettings, func(c net.Conn, kind, _ byte, stream uint32, _ string) bool {
		switch {
		case kind != headers:
		case stream%4 == 3:
			io.WriteString(c, large(stream, 20)+frame(data, 1, stream, "ok"))
		case stream == 1:
			io.WriteString(c, frame(headers, 5, stream, "\x48\x03204")) // :status 204 is remembered
		default:
			io.WriteString(c, frame(headers, 5, stream, "\xbe"))
		}
		return true
	}))
	got := map[Outcome]int{}
	for _, s := range mustCollect(t, Plan{Schedule: together(20), Run: 1, Loops: 1, MaxConns: 1, Streams: 20, Routes: []Route{h2(peer.addr)}}) {
		got[s.Outcome]++
	}
	if got[OK] != 10 || got[TooLarge] != 10 || peer.accepted.Load() != 1 {
		t.Errorf("%v on %d connections, want 10 ok and 10 too large on one", got, peer.accepted.Load())
	}
}
