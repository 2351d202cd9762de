package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/wire"
)

// Config is what a relay needs to know.
type Config struct {
	Name      string // of the link; part of what chance depends on
	Listen    string // host:port; "" takes a free port on 127.0.0.1
	Upstream  string // host:port of the dependency, dialled when the first request comes
	Seed, Run uint64 // of the experiment; the run whose request ids are recorded
	Protocol  string // ProtocolHTTP1, which "" means, or ProtocolTCP
	IDHeader  string // carries the request id, before traceparent; "" means wire.DefaultIDHeader

	// Prepare is called before the first connection is accepted: toxics that it
	// adds are in force from the first byte on. nil does nothing.
	Prepare func(*Relay)

	// Allow is asked about each address before it is dialled; nil allows
	// loopback only.
	Allow func(netip.AddrPort) error
}

// Relay is one link. It passes the bytes of each caller's connection to a
// connection of its own to the dependency and back, as a wire would, except
// for what its toxics decide.
type Relay struct {
	config   Config
	listener net.Listener
	dialer   *net.Dialer
	streams  *streams // in the place of all that is about exchanges, if the protocol is ProtocolTCP

	toxics   atomic.Pointer[[]*active] // never nil; what it points to never changes
	recorder atomic.Pointer[recorder]  // nil until Record
	seq      atomic.Uint64
	inFlight atomic.Int64
	names    interned
	closing  atomic.Bool
	accepted atomic.Uint64    // connections
	passed   [2]atomic.Uint64 // bytes, if the protocol is not one of streams
	ctx      context.Context  // done when it is closing
	cancel   context.CancelFunc

	hits, overflows [MaxIndex + 1]atomic.Uint64 // by index of the toxic

	mu    sync.Mutex // the control plane's: guards what follows, and orders changes of toxics
	conns map[*conn]struct{}
	last  uint64 // number of the last connection

	wg sync.WaitGroup
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
		c.Protocol = ProtocolHTTP1
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
	r.toxics.Store(new([]*active))
	switch c.Protocol {
	case ProtocolHTTP1:
	case ProtocolTCP:
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
		return fail(fmt.Errorf("protocol %q is not one of %s, %s", c.Protocol, ProtocolHTTP1, ProtocolTCP))
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	listener, err := lc.Listen(context.Background(), "tcp", c.Listen)
	if err != nil {
		return fail(err)
	}
	r.listener, r.dialer, r.conns = listener, dialer(c.Allow), map[*conn]struct{}{}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	c.Prepare(r)
	r.wg.Go(r.accept)
	return r, nil
}

// Addr is the host:port that callers dial.
func (r *Relay) Addr() string {
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

// Close closes the listener and all connections, and waits for every
// goroutine: exchanges in progress have been observed, as evidence.Cut, when it
// returns. It may be called again.
func (r *Relay) Close() error {
	if r.streams != nil {
		return r.closeStreams()
	}
	r.mu.Lock()
	r.closing.Store(true)
	r.cancel()
	open := make([]*conn, 0, len(r.conns))
	for c := range r.conns {
		open = append(open, c)
	}
	r.mu.Unlock()
	err := r.listener.Close()
	for _, c := range open {
		c.end(evidence.Cut)
		c.shut(false)
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
	c := newConn(r, r.last, caller)
	r.conns[c] = struct{}{}
	r.wg.Go(c.run)
}

func (r *Relay) forget(c *conn) {
	r.mu.Lock()
	delete(r.conns, c)
	r.mu.Unlock()
}
