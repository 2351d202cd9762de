package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// edge puts TLS on one side of a relay of connections, which passes bytes and
// knows nothing of it:
//
//	caller ══TLS══▶ edge ──▶ relay ──▶ edge ══TLS══▶ dependency
//
// It is a local connection and two goroutines more for each connection, and how
// one side ends is how the other sees it end.
type edge struct {
	listener net.Listener
	greet    func(*net.TCPConn) (transport, error) // makes of who was accepted whom to talk to
	dial     func() (transport, error)

	ctx    context.Context // done when it is closing
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	conns  map[transport]struct{} // nil once it is closed
}

// listenSecure is Listen for a relay of connections with TLS on either side.
func listenSecure(c Config) (r *Relay, err error) {
	inner := c
	inner.Terminate, inner.Originate = nil, nil
	var front, back *edge
	defer func() {
		if err != nil {
			err = errors.Join(err, front.close(), back.close())
		}
	}()
	if c.Originate != nil {
		way := &Relay{config: c, dialer: dialer(c.Allow)}
		if back, err = newEdge("127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("listen for link %s: %w", c.Name, err)
		}
		back.greet = func(conn *net.TCPConn) (transport, error) { return conn, nil }
		back.dial = func() (transport, error) { return way.dial(back.ctx, false) }
		inner.Upstream = back.listener.Addr().String()
		inner.Allow = func(addr netip.AddrPort) error {
			if addr.String() == inner.Upstream {
				return nil
			}
			return c.Allow(addr)
		}
	}
	if c.Terminate != nil {
		inner.Listen = ""
		if front, err = newEdge(c.Listen); err != nil {
			return nil, fmt.Errorf("listen for link %s: %w", c.Name, err)
		}
	}
	if r, err = Listen(inner); err != nil {
		return nil, err
	}
	if front != nil {
		front.greet = func(conn *net.TCPConn) (transport, error) {
			s, err := handshake(front.ctx, conn, c.Terminate, tls.Server)
			if err != nil {
				r.unsafe.Add(1)
				return nil, err
			}
			return s, nil
		}
		addr := r.Addr()
		front.dial = func() (transport, error) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return nil, err
			}
			return conn.(*net.TCPConn), nil
		}
	}
	r.front, r.back = front, back
	front.serve()
	back.serve()
	return r, nil
}

func newEdge(listen string) (*edge, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	listener, err := lc.Listen(context.Background(), "tcp", listen)
	if err != nil {
		return nil, err
	}
	e := &edge{listener: listener, conns: map[transport]struct{}{}}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e, nil
}

// serve begins to serve; on a nil edge there is nothing to.
func (e *edge) serve() {
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
				time.Sleep(5 * time.Millisecond) // see Relay.accept
			}
		}
	})
}

// close ends all that passes, and waits for it.
func (e *edge) close() error {
	if e == nil {
		return nil
	}
	e.cancel()
	err := e.listener.Close()
	e.mu.Lock()
	for conn := range e.conns {
		_ = conn.Close() // which ends who reads it
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
func (e *edge) pass(conn *net.TCPConn) {
	defer func() { _ = conn.Close() }() // of a caller that was not greeted
	caller, err := e.greet(conn)
	if err != nil || !e.keep(caller) {
		return
	}
	defer e.forget(caller)
	callee, err := e.dial()
	if err != nil {
		reset(caller) // as near as it gets to a connection that was refused
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

// keep has a connection closed with the edge. It reports false if that is
// closed already.
func (e *edge) keep(conn transport) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conns != nil {
		e.conns[conn] = struct{}{}
	}
	return e.conns != nil
}

func (e *edge) forget(conn transport) {
	_ = conn.Close()
	e.mu.Lock()
	delete(e.conns, conn)
	e.mu.Unlock()
}

// passOn passes on what one sends until it has closed its side; a reset breaks
// both ways.
func passOn(to, from transport) {
	_, err := io.CopyBuffer(onlyWrites{to}, onlyReads{from}, make([]byte, 32<<10))
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		reset(to)
		reset(from)
	}
}

// onlyWrites and onlyReads keep io.Copy from splicing, which TLS cannot.
type (
	onlyWrites struct{ io.Writer }
	onlyReads  struct{ io.Reader }
)
