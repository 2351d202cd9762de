package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// Config is what a relay needs to know.
type Config struct {
	Name      string // of the link; part of what chance depends on
	Listen    string // host:port; "" takes a free port on 127.0.0.1
	Upstream  string // host:port of the dependency, dialled when the first request comes
	Protocol  string // one of the Protocols; "" means toxic.ProtocolHTTP1
	Seed, Run uint64 // of the experiment; the run whose request ids are recorded
	IDHeader  string // carries the request id, before traceparent; "" means wire.DefaultIDHeader

	// Prepare is called before the first connection is accepted: toxics that it
	// adds are in force from the first byte on. nil does nothing.
	Prepare func(*Relay)

	// Terminate makes callers speak TLS to the relay, and Originate the relay to
	// the dependency; nil leaves it plain. The protocols of ALPN are set by
	// Protocol, and a ServerName that is missing by Upstream. Both may ask for
	// the other's certificate, and show one.
	Terminate, Originate *tls.Config

	// Allow is asked about each address before it is dialled; nil allows
	// loopback only.
	Allow func(netip.AddrPort) error

	calm int // small messages in a row that put a connection on the fast path; 0 means calmAfter
}

// Relay is one link. It passes the bytes of each caller's connection to a
// connection of its own to the dependency and back, as a wire would, except
// for what its toxics decide.
type Relay struct {
	config   Config
	listener net.Listener
	dialer   *net.Dialer
	streams  *streams // in the place of all that is about exchanges, if the protocol is toxic.ProtocolTCP

	toxics   atomic.Pointer[[]*active] // never nil; what it points to never changes
	recorder atomic.Pointer[recorder]  // nil until Record
	seq      atomic.Uint64
	inFlight atomic.Int64
	names    interned
	closing  atomic.Bool
	accepted atomic.Uint64    // connections
	passed   [2]atomic.Uint64 // bytes, if the protocol is not one of streams
	received [2]atomic.Uint64 // bytes, by the way that they go
	ctx      context.Context  // done when it is closing
	cancel   context.CancelFunc

	hits, overflows [MaxIndex + 1]atomic.Uint64 // by index of the toxic

	mu    sync.Mutex // the control plane's: guards what follows, and orders changes of toxics
	conns map[connection]struct{}
	last  uint64 // number of the last connection

	wg     sync.WaitGroup
	unsafe atomic.Uint64

	front, back *edge // of a relay of connections with TLS; nil where it has none
}

// connection is a caller's, with its own to the dependency.
type connection interface {
	run()                    // until the end
	review(toxics []*active) // brings exchanges in progress into line with the toxics in force
	cut()                    // ends it, and all exchanges in progress
}

// The ways that bytes are counted by, as streams has them.
const (
	toDependency = iota
	toCaller
)

// recorder is who is told about exchanges.
type recorder struct {
	start   time.Time
	observe func(evidence.Exchange)
}

// Listen returns a relay that is bound and serving.
func Listen(c Config) (*Relay, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.IDHeader == "" {
		c.IDHeader = wire.DefaultIDHeader
	}
	if c.Prepare == nil {
		c.Prepare = func(*Relay) {}
	}
	if c.Allow == nil {
		c.Allow = onlyLoopback
	}
	if c.Protocol == "" {
		c.Protocol = toxic.ProtocolHTTP1
	}
	fail := func(err error) (*Relay, error) { return nil, fmt.Errorf("listen for link %s: %w", c.Name, err) }
	if _, _, err := net.SplitHostPort(c.Upstream); err != nil {
		return fail(fmt.Errorf("upstream: %w", err))
	}
	if addr, err := netip.ParseAddrPort(c.Upstream); err == nil {
		if err := c.Allow(addr); err != nil {
			return fail(fmt.Errorf("upstream: %w", err))
		}
	}
	r := &Relay{config: c}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.toxics.Store(new([]*active))
	switch c.Protocol {
	case toxic.ProtocolHTTP1, toxic.ProtocolHTTP2, toxic.ProtocolGRPC:
	case toxic.ProtocolTCP:
		if c.Terminate != nil || c.Originate != nil {
			return listenSecure(c)
		}
		var err error
		if r.streams, err = newStreams(r); err != nil {
			return fail(err)
		}
		r.wg.Go(r.streams.run)
		c.Prepare(r)
		r.streams.prepared.Store(true)
		r.streams.wake()
		return r, nil
	default:
		return fail(fmt.Errorf("protocol %q is not one of %s, %s, %s, %s", c.Protocol, toxic.ProtocolHTTP1, toxic.ProtocolHTTP2, toxic.ProtocolGRPC, toxic.ProtocolTCP))
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	listener, err := lc.Listen(context.Background(), "tcp", c.Listen)
	if err != nil {
		return fail(err)
	}
	r.listener, r.dialer, r.conns = listener, dialer(c.Allow), map[connection]struct{}{}
	c.Prepare(r)
	r.wg.Go(r.accept)
	return r, nil
}

// Addr is the host:port that callers dial.
func (r *Relay) Addr() string {
	if r.front != nil {
		return r.front.listener.Addr().String()
	}
	if r.streams != nil {
		return r.streams.door.addr.String()
	}
	return r.listener.Addr().String()
}

// Record gives every exchange that begins from now on to observe when it ends,
// each exactly once; times count from start. observe is called from many
// goroutines at once and is on the path of the connection's next exchange: it
// must not block.
func (r *Relay) Record(start time.Time, observe func(evidence.Exchange)) {
	r.recorder.Store(&recorder{start, observe})
}

// InFlight is how many exchanges are in progress.
func (r *Relay) InFlight() int { return int(r.inFlight.Load()) }

// Unsafe is how many callers came with whom no TLS could be agreed on.
func (r *Relay) Unsafe() uint64 { return r.unsafe.Load() }

// Close closes the listener and all connections, and waits for every
// goroutine: exchanges in progress have been observed, as evidence.Cut, when it
// returns. It may be called again.
func (r *Relay) Close() error {
	if r.streams != nil {
		r.cancel()
		return errors.Join(r.closeStreams(), r.front.close(), r.back.close())
	}
	r.mu.Lock()
	r.closing.Store(true)
	r.cancel()
	open := make([]connection, 0, len(r.conns))
	for c := range r.conns {
		open = append(open, c)
	}
	r.mu.Unlock()
	err := r.listener.Close()
	for _, c := range open {
		c.cut()
	}
	r.wg.Wait()
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
	if r.closing.Load() {
		_ = caller.Close()
		return
	}
	r.last++
	r.accepted.Add(1)
	if r.config.Terminate == nil {
		r.begin(r.last, newSocket(caller), true)
		return
	}
	number := r.last
	r.wg.Go(func() { r.terminate(number, caller) })
}

// terminate serves a caller once it has agreed on TLS. A handshake that fails
// is no exchange.
func (r *Relay) terminate(number uint64, caller *net.TCPConn) {
	config := r.config.Terminate.Clone()
	config.NextProtos = []string{"http/1.1"}
	if r.multiplexed() {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	s, err := handshake(r.ctx, caller, config, tls.Server)
	if err != nil {
		r.unsafe.Add(1)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing.Load() {
		_ = s.Close()
		return
	}
	r.begin(number, s, s.ConnectionState().NegotiatedProtocol != "http/1.1")
}

// multiplexed tells whether it is HTTP/2 that is spoken.
func (r *Relay) multiplexed() bool {
	return r.config.Protocol == toxic.ProtocolHTTP2 || r.config.Protocol == toxic.ProtocolGRPC
}

// begin serves a connection. r.mu is held.
func (r *Relay) begin(number uint64, caller transport, streams bool) {
	var c connection
	if streams && r.multiplexed() {
		c = newMux(r, number, caller)
	} else {
		c = newConn(r, number, caller)
	}
	r.conns[c] = struct{}{}
	r.wg.Go(c.run)
}

// demote serves a caller that does not speak HTTP/2 after all as one of
// HTTP/1.1.
func (r *Relay) demote(m *mux) {
	c := newConn(r, m.number, m.caller.conn)
	for read, _ := m.in.Peek(m.in.Buffered()); len(read) > 0; {
		n := copy(c.in.room(), read)
		c.in.filled(n)
		read = read[n:]
	}
	r.mu.Lock()
	delete(r.conns, m)
	if r.closing.Load() {
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
