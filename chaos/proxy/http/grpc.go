package http

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// grpcUnknown is UNKNOWN.
const grpcUnknown = 2

// httpToGRPC is the gRPC status that stands for a status of HTTP: of those that
// wire.GRPCToHTTP maps to it, the one that a server's failure is most like. A
// status that none is mapped to is UNAVAILABLE from a gateway (502), as the
// gRPC project's "HTTP to gRPC status code mapping" has it, and UNKNOWN else.
func httpToGRPC(status int) int {
	switch status {
	case 200:
		return 0 // OK
	case 400:
		return 3 // INVALID_ARGUMENT
	case 401:
		return 16 // UNAUTHENTICATED
	case 403:
		return 7 // PERMISSION_DENIED
	case 404:
		return 5 // NOT_FOUND
	case 409:
		return 10 // ABORTED
	case 429:
		return 8 // RESOURCE_EXHAUSTED
	case 499:
		return 1 // CANCELLED
	case 500:
		return 13 // INTERNAL
	case 501:
		return 12 // UNIMPLEMENTED
	case 502, 503:
		return 14 // UNAVAILABLE
	case 504:
		return 4 // DEADLINE_EXCEEDED
	default:
		return grpcUnknown
	}
}

// grpcStatus is the status of HTTP that stands for a value of grpc-status. What
// is no number is UNKNOWN, and so is a response that ends without one.
func grpcStatus(value string) int {
	n, err := strconv.Atoi(value)
	if err != nil {
		n = grpcUnknown
	}
	return wire.GRPCToHTTP(n)
}

// grpcMessage encodes the value of a grpc-message: bytes that are not visible
// ASCII, and %, are percent-encoded.
func grpcMessage(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			b.WriteByte('%')
			b.WriteByte("0123456789ABCDEF"[c>>4])
			b.WriteByte("0123456789ABCDEF"[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// messages follows the messages of a gRPC request: a byte that says whether it
// is compressed, four of its length, the message.
type messages struct {
	head [5]byte
	have int
	left uint32
	one  bool // the first is complete
}

func (m *messages) next(p []byte) {
	for len(p) > 0 && !m.one {
		if m.have < len(m.head) {
			n := copy(m.head[m.have:], p)
			m.have += n
			p = p[n:]
			if m.have == len(m.head) {
				m.left = uint32(m.head[1])<<24 | uint32(m.head[2])<<16 | uint32(m.head[3])<<8 | uint32(m.head[4])
				m.one = m.left == 0
			}
			continue
		}
		n := min(int64(len(p)), int64(m.left))
		m.left -= uint32(n)
		p = p[n:]
		m.one = m.left == 0
	}
}

// answerGRPC is the gRPC status of an answer.
func answerGRPC(f toxic.Fate) int {
	return cmp.Or(f.GRPCStatus, httpToGRPC(f.Status))
}

// answerHTTP is the status of HTTP of an answer.
func answerHTTP(f toxic.Fate) int {
	return cmp.Or(f.Status, wire.GRPCToHTTP(f.GRPCStatus))
}
