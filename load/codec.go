package load

import "fmt"

// codec is how requests and responses are put on connections of a protocol. It
// has no state of its own: that is in the conn.
type codec interface {
	// concurrency is how many exchanges a connection is expected to take at once.
	concurrency() int
	// open prepares a connection that has been opened.
	open(l *loop, c *conn)
	// room is how many more exchanges the connection takes now.
	room(c *conn) int
	// send writes the exchange's request, now or by later; false if the
	// connection is broken.
	send(l *loop, e *exchange) bool
	// received takes what came in. more reports that there is more to read
	// already.
	received(l *loop, c *conn, p []byte, more bool)
	// ended goes on when the peer has sent its last.
	ended(l *loop, c *conn)
	// cancel ends an exchange whose time has run out.
	cancel(l *loop, e *exchange)
}

const defaultStreams = 100

// codec is that of the route's protocol.
func (r *Route) codec(p Plan) (codec, error) {
	switch r.Protocol {
	case "", HTTP1:
		return http1Codec{depth: max(1, p.Pipeline)}, nil
	case HTTP2, GRPC:
		if p.Streams <= 0 {
			return http2Codec{limit: defaultStreams}, nil
		}
		return http2Codec{limit: p.Streams}, nil
	default:
		return nil, fmt.Errorf("protocol %q is not %s, %s or %s", r.Protocol, HTTP1, HTTP2, GRPC)
	}
}
