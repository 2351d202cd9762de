package load

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
)

// tlsConn is TLS on one connection, between its codec and its transport.
//
// The handshake goes on beside the loop, in a goroutine with a net.Conn, because
// crypto/tls waits for its bytes. After it the loop has both the socket and the
// tls.Conn. That now reads from what the transport has brought, and when there
// is no more it gets an error that is temporary, which crypto/tls passes on and
// does not remember: so it is called again with the next bytes.
type tlsConn struct {
	*tls.Conn
	tunnel *tunnel
	plain  []byte
}

// tunnel is the net.Conn under a tls.Conn.
type tunnel struct {
	net.Conn        // during the handshake
	loop     *loop  // after it
	conn     *conn  // of loop
	in       []byte // what was brought and not read yet
	broken   bool   // a write failed
}

// errNoMore is what a tunnel reads when all that was brought is read.
var errNoMore net.Error = noMore{}

type noMore struct{}

func (noMore) Error() string   { return "no more for now" }
func (noMore) Timeout() bool   { return true }
func (noMore) Temporary() bool { return true }

func (t *tunnel) Read(p []byte) (int, error) {
	if t.loop == nil {
		return t.Conn.Read(p)
	}
	if len(t.in) == 0 {
		return 0, errNoMore
	}
	n := copy(p, t.in)
	t.in = t.in[n:]
	return n, nil
}

func (t *tunnel) Write(p []byte) (int, error) {
	if t.loop == nil {
		return t.Conn.Write(p)
	}
	if t.broken || !t.loop.net.send(t.conn, p) {
		t.broken = true
		return 0, net.ErrClosed
	}
	return len(p), nil
}

// recordSize is the most plaintext of one TLS record.
const recordSize = 16 << 10

// handshakes are those of one loop that go on beside it.
type handshakes struct {
	running sync.WaitGroup

	mu   sync.Mutex
	done []handshake
}

// handshake is one that has ended.
type handshake struct {
	token
	tls *tlsConn
	err error
}

// handshake opens a connection for a pool with TLS.
func (l *loop) handshake(c *conn) {
	ctx, cancel := context.WithCancel(context.Background())
	c.fd, c.cancel = -1, cancel
	to, e := token{c, c.generation}, c.pool.addresses[c.pool.turn()]
	l.handshakes.running.Go(func() {
		s, err := e.handshake(ctx)
		l.handshakes.mu.Lock()
		l.handshakes.done = append(l.handshakes.done, handshake{to, s, err})
		l.handshakes.mu.Unlock()
		l.net.wake()
	})
}

func (e endpoint) handshake(ctx context.Context) (*tlsConn, error) {
	network, addr := e.dialArgs()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	t := &tunnel{Conn: conn}
	s := &tlsConn{Conn: tls.Client(t, e.tls), tunnel: t}
	if err := s.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if got := s.ConnectionState().NegotiatedProtocol; slices.Contains(e.tls.NextProtos, alpnHTTP2) && got != alpnHTTP2 {
		return nil, errors.Join(errors.New("the server does not speak HTTP/2 by TLS"), conn.Close())
	}
	return s, nil
}

// finishHandshakes goes on with the connections whose handshake has ended.
func (l *loop) finishHandshakes() {
	if len(l.pools) == 0 || !l.hasTLS {
		return
	}
	l.handshakes.mu.Lock()
	done := l.handshakes.done
	l.handshakes.done = nil
	l.handshakes.mu.Unlock()
	for _, h := range done {
		c := h.conn
		switch {
		case c.generation != h.generation || c.state != dialling:
			if h.err == nil {
				_ = h.tls.tunnel.Close()
			}
		case h.err != nil:
			l.dialFailed(c, h.err)
		default:
			l.adopt(c, h.tls)
		}
	}
}

// adopt makes a connection whose handshake has succeeded one of the loop's.
func (l *loop) adopt(c *conn, s *tlsConn) {
	if err := l.net.adopt(c, s.tunnel.Conn); err != nil {
		l.dialFailed(c, err)
		return
	}
	s.tunnel.Conn, s.tunnel.loop, s.tunnel.conn = nil, l, c
	c.tls = s
	generation := c.generation
	l.opened(c)
	if c.generation == generation {
		s.receive(nil, false) // what came behind the handshake
	}
}

// write sends p on the connection, by TLS if it has that; false if it is broken.
func (l *loop) write(c *conn, p []byte) bool {
	if c.tls == nil {
		return l.net.send(c, p)
	}
	_, err := c.tls.Write(p)
	return err == nil
}

// receive takes what came on the wire.
func (s *tlsConn) receive(p []byte, more bool) {
	t := s.tunnel
	l, c := t.loop, t.conn
	generation := c.generation
	t.in = p
	if s.plain == nil {
		s.plain = make([]byte, recordSize)
	}
	for {
		n, err := s.Read(s.plain)
		if n > 0 {
			// What is left in the tunnel may be the beginning of a record, a
			// session ticket or the end: none of that is an answer.
			c.codec.received(l, c, s.plain[:n], more)
			if c.generation != generation {
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, errNoMore):
			return
		case errors.Is(err, io.EOF): // the peer has said so
			c.peerDone = true
			c.codec.ended(l, c)
			return
		default:
			if !t.broken {
				l.stats.tls.add(err.Error())
			}
			l.broken(c)
			return
		}
	}
}
