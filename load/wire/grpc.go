package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// messageHead is how long the head of a gRPC message is: whether it is
// compressed, and how long it is in four bytes.
const messageHead = 5

// EncodeGRPC makes a template of a unary gRPC call. path is
// /package.Service/Method, message the encoded request, which is sent
// uncompressed; placeholders are replaced in it as in any body, without a change
// to lengths that the message itself holds. timeout is told to the server, by
// more rather than by less where it cannot be told exactly. What is said of
// EncodeStream holds here too, but that there is no content-length, and that te,
// content-type and grpc-timeout are added unless given.
//
// From the gRPC project's "gRPC over HTTP2".
func EncodeGRPC(scheme, path, host string, headers [][2]string, message []byte, timeout time.Duration,
	idHeader string, fill Fill) (*StreamTemplate, error) {
	content := draft{fill: fill}
	content.add("message", string(message), inBody)
	if content.err != nil {
		return nil, content.err
	}
	if n := most(content.parts, 0); n > math.MaxUint32 {
		return nil, fmt.Errorf("message of %d bytes: a gRPC message has at most %d", n, uint32(math.MaxUint32))
	}
	content.parts = append(messageFrame(content.parts), content.parts...)
	headers = headers[:len(headers):len(headers)]
	for _, h := range [][2]string{{"te", "trailers"}, {"content-type", "application/grpc"}, {"grpc-timeout", grpcTimeout(timeout)}} {
		if !has(headers, h[0]) {
			headers = append(headers, h)
		}
	}
	return encodeStream(scheme, "POST", path, host, headers, content, nil, idHeader)
}

// messageFrame is the head of a message that is not compressed.
func messageFrame(content []part) []part {
	if vary(content) {
		return []part{{text: []byte{0}, hole: hole{kind: messageLength}}}
	}
	return []part{{text: binary.BigEndian.AppendUint32([]byte{0}, uint32(most(content, 0)))}}
}

// grpcTimeout is the value of a grpc-timeout field: at most eight digits and a
// unit, the finest one in which it fits.
func grpcTimeout(d time.Duration) string {
	d = max(d, 0)
	for _, unit := range []struct {
		name string
		is   time.Duration
	}{{"n", 1}, {"u", time.Microsecond}, {"m", time.Millisecond}, {"S", time.Second}, {"M", time.Minute}} {
		if n := d / unit.is; n < 1e8-1 {
			if d%unit.is > 0 {
				n++
			}
			return fmt.Sprint(int64(n), unit.name)
		}
	}
	return fmt.Sprint(int64(d/time.Hour)+1, "H")
}

// GRPCToHTTP is the status of HTTP that stands for a gRPC status, by the
// mapping that google.rpc.Code documents. One that gRPC does not know is
// UNKNOWN.
func GRPCToHTTP(status int) int {
	if status < 0 || status >= len(grpcToHTTP) {
		return 500
	}
	return grpcToHTTP[status]
}

var grpcToHTTP = [...]int{
	0:  200, // OK
	1:  499, // CANCELLED
	2:  500, // UNKNOWN
	3:  400, // INVALID_ARGUMENT
	4:  504, // DEADLINE_EXCEEDED
	5:  404, // NOT_FOUND
	6:  409, // ALREADY_EXISTS
	7:  403, // PERMISSION_DENIED
	8:  429, // RESOURCE_EXHAUSTED
	9:  400, // FAILED_PRECONDITION
	10: 409, // ABORTED
	11: 400, // OUT_OF_RANGE
	12: 501, // UNIMPLEMENTED
	13: 500, // INTERNAL
	14: 503, // UNAVAILABLE
	15: 500, // DATA_LOSS
	16: 401, // UNAUTHENTICATED
}
