package http

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// Config is what a relay of HTTP needs to know.
type Config struct {
	link.Config
	Protocol string // toxic.ProtocolHTTP1, ProtocolHTTP2 or ProtocolGRPC
	Run      uint64 // the run whose request ids are recorded
	IDHeader string // carries the request id, before traceparent
	// TLS of callers, and with the dependency; nil leaves it plain.
	Terminate, Originate *tls.Config
}

// Relay is one link that passes exchanges.
type Relay struct {
	link.Counters
	config   Config
	life     link.Life
	listener net.Listener
	dialer   *transport.Dialer
	toxics   atomic.Pointer[[]*active] // never nil; what it points to never changes
	names    interned
	again    chan repeat // to connections that are idle, see h1Conn.deliverAgain

	mu    sync.Mutex // the control plane's: guards what follows, and orders changes of toxics
	conns map[connection]struct{}
	last  uint64 // number of the last connection
}

// connection is a caller's, with its own to the dependency.
type connection interface {
	run()                    // until the end
	review(toxics []*active) // brings exchanges in progress into line with the toxics in force
	cut()                    // ends it, and all exchanges in progress
}

// Listen returns a relay that is bound. It accepts once Serve is called.
func Listen(c Config) (*Relay, error) {
	listener, err := transport.Listen(c.Listen, c.Device)
	if err != nil {
		return nil, err
	}
	r := &Relay{config: c, listener: listener, conns: map[connection]struct{}{}, again: make(chan repeat)}
	r.dialer = transport.NewDialer(c.Upstream, c.Originate, c.Allow)
	r.life.Start()
	r.toxics.Store(new([]*active))
	return r, nil
}

// Serve begins to accept callers. It does not wait.
func (r *Relay) Serve() { r.life.WG.Go(r.accept) }

// Addr is that of link.Relay.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Connections is that of link.Relay.
func (r *Relay) Connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// Failed is that of link.Relay: each connection has goroutines of its own.
func (r *Relay) Failed() (failed <-chan struct{}, why func() error) { return nil, nil }

// Close is that of link.Relay.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.life.Close()
	open := make([]connection, 0, len(r.conns))
	for c := range r.conns {
		open = append(open, c)
	}
	r.mu.Unlock()
	err := r.listener.Close()
	for _, c := range open {
		c.cut()
	}
	r.life.WG.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close link %s: %w", r.config.Name, err)
	}
	return nil
}

// accept takes connections until the listener is closed. It never waits for
// anything else.
func (r *Relay) accept() {
	for {
		caller, err := r.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, or the caller has gone already: the
			// connections there are must not suffer from it.
			time.Sleep(5 * time.Millisecond)
			continue
		}
		r.serve(caller.(*net.TCPConn))
	}
}

func (r *Relay) serve(caller *net.TCPConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life.Closing() {
		_ = caller.Close()
		return
	}
	r.last++
	r.Accept()
	if r.config.Terminate == nil {
		r.begin(r.last, transport.NewSocket(caller), true)
		return
	}
	number := r.last
	r.life.WG.Go(func() { r.terminate(number, caller) })
}

// terminate serves a caller once it has agreed on TLS. A handshake that fails
// is no exchange.
func (r *Relay) terminate(number uint64, caller *net.TCPConn) {
	config := r.config.Terminate.Clone()
	config.NextProtos = []string{"http/1.1"}
	if r.multiplexed() {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	s, err := transport.Handshake(r.life.Ctx, caller, config, tls.Server)
	if err != nil {
		r.Refuse()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life.Closing() {
		_ = s.Close()
		return
	}
	r.begin(number, s, s.ConnectionState().NegotiatedProtocol != "http/1.1")
}

// multiplexed reports whether it is HTTP/2 that is spoken.
func (r *Relay) multiplexed() bool {
	return r.config.Protocol == toxic.ProtocolHTTP2 || r.config.Protocol == toxic.ProtocolGRPC
}

// begin serves a connection. r.mu is locked.
func (r *Relay) begin(number uint64, caller transport.Conn, streams bool) {
	var c connection
	if streams && r.multiplexed() {
		c = newH2Conn(r, number, caller)
	} else {
		c = newH1Conn(r, number, caller)
	}
	r.conns[c] = struct{}{}
	r.life.WG.Go(c.run)
}

// serveHTTP1 serves a caller that does not speak HTTP/2 after all as one of
// HTTP/1.1.
func (r *Relay) serveHTTP1(m *h2Conn) {
	c := newH1Conn(r, m.number, m.caller.conn)
	for read, _ := m.in.Peek(m.in.Buffered()); len(read) > 0; {
		n := copy(c.in.room(), read)
		c.in.filled(n)
		read = read[n:]
	}
	r.mu.Lock()
	delete(r.conns, m)
	if r.life.Closing() {
		r.mu.Unlock()
		c.cut()
		return
	}
	r.conns[c] = struct{}{}
	r.mu.Unlock()
	c.run()
}

func (r *Relay) forget(c connection) {
	r.mu.Lock()
	delete(r.conns, c)
	r.mu.Unlock()
}
