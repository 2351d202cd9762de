package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/tcp"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
)

// tlsBridge puts TLS on one side of a relay of connections, which passes bytes and
// knows nothing of it:
//
//	caller ══TLS══▶ front ──▶ relay ──▶ back ══TLS══▶ dependency
//
// It is a local connection and two goroutines more for each connection, and how
// one side ends is how the other sees it end.
type tlsBridge struct {
	listener  net.Listener
	handshake func(*net.TCPConn) (transport.Conn, error) // turns an accepted connection into the one that is read and written
	dial      func() (transport.Conn, error)

	ctx    context.Context // done when it is closing
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	conns  map[transport.Conn]struct{} // nil once it is closed
}

// secured is a relay of connections with TLS on either side.
type secured struct {
	*tcp.Relay
	front, back *tlsBridge // nil where it has none
}

// Addr is that of link.Relay.
func (r *secured) Addr() string {
	if r.front != nil {
		return r.front.listener.Addr().String()
	}
	return r.Relay.Addr()
}

// Serve is that of bound.
func (r *secured) Serve() {
	r.Relay.Serve()
	r.front.serve()
	r.back.serve()
}

// Close is that of link.Relay.
func (r *secured) Close() error {
	return errors.Join(r.Relay.Close(), r.front.close(), r.back.close())
}

// bindSecure returns a relay of connections with TLS on either side, or both.
func bindSecure(c tcp.Config, terminate, originate *tls.Config) (r *secured, err error) {
	inner, r := c, &secured{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.front.close(), r.back.close())
		}
	}()
	if originate != nil {
		if r.back, err = newTLSBridge("127.0.0.1:0", ""); err != nil {
			return nil, err
		}
		dialer := transport.NewDialer(c.Upstream, originate, c.Allow)
		r.back.handshake = func(conn *net.TCPConn) (transport.Conn, error) { return conn, nil }
		r.back.dial = func() (transport.Conn, error) { return dialer.Dial(r.back.ctx, "") }
		inner.Upstream = r.back.listener.Addr().String()
		inner.Allow = func(addr netip.AddrPort) error {
			if addr.String() == inner.Upstream {
				return nil
			}
			return c.Allow(addr)
		}
	}
	if terminate != nil {
		inner.Listen, inner.Device = "127.0.0.1:0", ""
		if r.front, err = newTLSBridge(c.Listen, c.Device); err != nil {
			return nil, err
		}
	}
	if r.Relay, err = tcp.Listen(inner); err != nil || r.front == nil {
		return r, err
	}
	r.front.handshake = func(conn *net.TCPConn) (transport.Conn, error) {
		s, err := transport.Handshake(r.front.ctx, conn, terminate, tls.Server)
		if err != nil {
			r.Refuse()
			return nil, err
		}
		return s, nil
	}
	addr := r.Relay.Addr()
	r.front.dial = func() (transport.Conn, error) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		return conn.(*net.TCPConn), nil
	}
	return r, nil
}

func newTLSBridge(listen, device string) (*tlsBridge, error) {
	listener, err := transport.Listen(listen, device)
	if err != nil {
		return nil, err
	}
	e := &tlsBridge{listener: listener, conns: map[transport.Conn]struct{}{}}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e, nil
}

// serve begins to serve; on a nil bridge it does nothing.
func (e *tlsBridge) serve() {
	if e == nil {
		return
	}
	e.wg.Go(func() {
		for {
			conn, err := e.listener.Accept()
			switch {
			case err == nil:
				e.wg.Go(func() { e.pass(conn.(*net.TCPConn)) })
			case errors.Is(err, net.ErrClosed):
				return
			default:
				time.Sleep(5 * time.Millisecond) // as every relay does
			}
		}
	})
}

// close ends all that passes, and waits for it.
func (e *tlsBridge) close() error {
	if e == nil {
		return nil
	}
	e.cancel()
	err := e.listener.Close()
	e.mu.Lock()
	for conn := range e.conns {
		_ = conn.Close() // which ends the goroutine that reads it
	}
	e.conns = nil
	e.mu.Unlock()
	e.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// pass passes a connection until both sides have ended.
func (e *tlsBridge) pass(conn *net.TCPConn) {
	defer func() { _ = conn.Close() }() // of a caller whose handshake failed
	caller, err := e.handshake(conn)
	if err != nil || !e.keep(caller) {
		return
	}
	defer e.forget(caller)
	callee, err := e.dial()
	if err != nil {
		transport.Reset(caller) // as near as it gets to a connection that was refused
		return
	}
	defer e.forget(callee)
	if !e.keep(callee) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { passOn(caller, callee) })
	passOn(callee, caller)
	back.Wait()
}

// keep has a connection closed when the bridge is. It reports false if the bridge
// is closed already.
func (e *tlsBridge) keep(conn transport.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conns != nil {
		e.conns[conn] = struct{}{}
	}
	return e.conns != nil
}

func (e *tlsBridge) forget(conn transport.Conn) {
	_ = conn.Close()
	e.mu.Lock()
	delete(e.conns, conn)
	e.mu.Unlock()
}

// passOn passes on what one sends until it has closed its side; a reset breaks
// both ways.
func passOn(to, from transport.Conn) {
	_, err := io.CopyBuffer(onlyWrites{to}, onlyReads{from}, make([]byte, 32<<10))
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		transport.Reset(to)
		transport.Reset(from)
	}
}

// onlyWrites and onlyReads keep io.Copy from splicing, which TLS cannot.
type (
	onlyWrites struct{ io.Writer }
	onlyReads  struct{ io.Reader }
)
