package reference

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// server serves a dependency for less than net/http would take: the generator
// of the load runs on the same cores.
//
//	         ┌ preface of HTTP/2 ─▶ h2c
//	accept ──┼ plain HTTP/1.1 ────▶ http1 ─ as soon as it is not plain ─┐
//	         └ anything else ─────────────────────────────────────────▶ net/http
//
// It is used as an http.Server is.
type server struct {
	dependency *dependency
	netHTTP    *http.Server
	handed     *handover // connections for netHTTP

	mu      sync.Mutex
	leaving bool
	conns   map[connection]struct{}
	serving int           // goroutines that serve conns, or are about to
	empty   chan struct{} // closed when it is leaving and none is left
}

// connection is one that we serve ourselves: an http1 or an h2c.
type connection interface {
	retire()  // makes it end when what is in progress is answered
	abandon() // ends it at once
}

func newServer(d *dependency, netHTTP *http.Server) *server {
	return &server{
		dependency: d,
		netHTTP:    netHTTP,
		handed:     &handover{conns: make(chan net.Conn), closed: make(chan struct{})},
		conns:      map[connection]struct{}{},
		empty:      make(chan struct{}),
	}
}

// Serve serves what the listener accepts, until Shutdown or Close.
func (s *server) Serve(l net.Listener) error {
	s.handed.addr = l.Addr()
	var helper sync.WaitGroup
	helper.Go(func() { _ = s.netHTTP.Serve(s.handed) }) // it ends because we do
	helper.Go(func() {
		<-s.handed.closed
		l.Close()
	})
	defer helper.Wait()
	defer s.handed.end()
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			s.count(1)
			go s.serve(conn) // Shutdown waits for it
		case s.handed.isClosed():
			return http.ErrServerClosed
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			time.Sleep(5 * time.Millisecond) // most likely too many open files
		}
	}
}

func (s *server) serve(conn net.Conn) {
	defer s.count(-1)
	plain := newHTTP1(s.dependency, conn)
	var read []byte
	var next next
	s.keep(plain, func() { read, next = plain.serve() })
	switch next {
	case ended:
		conn.Close()
	case toH2C:
		c := newH2C(s.dependency, conn)
		s.keep(c, func() { c.serve(read) })
	case toNetHTTP:
		s.handed.give(&begun{conn, read})
	}
}

// keep has Shutdown and Close know of a connection while it is served.
func (s *server) keep(c connection, serve func()) {
	s.mu.Lock()
	s.conns[c] = struct{}{}
	leaving := s.leaving
	s.mu.Unlock()
	if leaving {
		c.retire()
	}
	serve()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// count tells Shutdown when nothing is served any more.
func (s *server) count(change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving += change
	s.check()
}

func (s *server) check() {
	if s.leaving && s.serving == 0 {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}

// stop accepts no more and returns the connections there are.
func (s *server) stop() []connection {
	s.handed.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
	s.check()
	var conns []connection
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// Shutdown lets requests in progress finish until ctx is done.
func (s *server) Shutdown(ctx context.Context) error {
	for _, c := range s.stop() {
		go c.retire() // it may have to wait for a peer that does not read; Close ends that
	}
	err := s.netHTTP.Shutdown(ctx)
	select {
	case <-s.empty:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends all connections at once.
func (s *server) Close() error {
	for _, c := range s.stop() {
		c.abandon()
	}
	return s.netHTTP.Close()
}

// handover is the listener from which net/http takes its connections.
type handover struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		c.Close()
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handover) Addr() net.Addr { return h.addr }

func (h *handover) Close() error {
	h.end()
	return nil
}

func (h *handover) end() { h.once.Do(func() { close(h.closed) }) }

func (h *handover) isClosed() bool {
	select {
	case <-h.closed:
		return true
	default:
		return false
	}
}

// begun is a connection of which some bytes have been read.
type begun struct {
	net.Conn
	read []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.read) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.read)
	b.read = b.read[n:]
	return n, nil
}
