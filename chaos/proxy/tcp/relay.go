package tcp

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// Config is what a relay of connections needs to know.
type Config struct {
	link.Config
	Greeting string // what the dependency says first is read as, for its code: one of greeting.Protocols; "" reads nothing
	// UnreachableFIN closes a caller's connection by a FIN if the dependency cannot be
	// dialled; without it that is a RST.
	UnreachableFIN bool
	promoteAfter   int // small messages in a row that put a connection on the fast path; 0 means calmAfter
}

// Relay is one link that knows connections and bytes, whatever is spoken.
type Relay struct {
	link.Counters
	config Config
	life   link.Life
	loop   *loop
	dialer asyncDialer
	open   atomic.Int64
	addr   string
	mu     sync.Mutex    // the control plane's: orders changes of toxics
	wanted []*activeConn // guarded by mu
	closed chan struct{} // when it has left its loop

	// The loop's alone.
	listener   *listener
	toxics     *connToxics // as every connection knows them
	serving    bool        // it may accept
	last       uint64      // number of the last connection
	after      int         // so many small messages in a row make a session be promoted
	onFast     int         // sessions on the fast path
	promotions atomic.Int64
}

// Listen returns a relay that is bound. It accepts once Serve is called.
func Listen(c Config) (*Relay, error) {
	r := &Relay{config: c, toxics: &connToxics{}, after: cmp.Or(c.promoteAfter, promoteAfter), closed: make(chan struct{})}
	var err error
	if r.dialer, err = newAsyncDialer(c.Upstream, c.Allow); err != nil {
		return nil, err
	}
	if r.loop, err = loops.join(); err != nil {
		return nil, err
	}
	if r.listener, err = openListener(r.loop.poller, c.Listen, c.Device); err != nil {
		loops.leave(r.loop)
		return nil, err
	}
	r.addr = r.listener.addr.String()
	if !r.loop.call(func() { err = r.loop.adopt(r) }) {
		err = r.loop.err
	}
	if err != nil {
		r.listener.close()
		loops.leave(r.loop)
		return nil, err
	}
	r.life.Start()
	return r, nil
}

// Serve begins to accept callers. It does not wait.
func (r *Relay) Serve() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life.Closing() {
		return
	}
	r.loop.order(func() {
		r.serving, r.listener.more = true, true
		r.loop.listens(r)
	})
}

// Addr is that of link.Relay.
func (r *Relay) Addr() string { return r.addr }

// Connections is that of link.Relay.
func (r *Relay) Connections() int { return int(r.open.Load()) }

// Failed is that of link.Relay. A loop that ends has failed, as it outlives its relays.
func (r *Relay) Failed() (failed <-chan struct{}, why func() error) {
	return r.loop.done, func() error { return r.loop.err }
}

// Close is that of link.Relay.
func (r *Relay) Close() error {
	l := r.loop
	r.mu.Lock()
	first := r.life.Close() // no toxic changes after this: see change
	r.mu.Unlock()
	if first {
		l.call(func() { l.dismiss(r) })
		r.dialer.wait()
		r.life.WG.Wait()
		loops.leave(l)
		close(r.closed)
	}
	<-r.closed
	select {
	case <-l.done:
		if l.err != nil {
			return fmt.Errorf("close link %s: %w", r.config.Name, l.err)
		}
	default:
	}
	return nil
}

// Add is that of link.Relay.
func (r *Relay) Add(index int, t toxic.Toxic, d toxic.Direction) (remove func(), err error) {
	mark, err := r.Mark(index)
	if err != nil {
		return nil, fmt.Errorf("%v on link %s: %w", t, r.config.Name, err)
	}
	c, err := toxic.OnConns(t)
	if err != nil {
		return nil, fmt.Errorf("link %s knows connections: %w", r.config.Name, err)
	}
	a := &activeConn{
		toxic: c, selects: t.Selection(), direction: d, mark: mark,
		seed: toxic.Seed(r.config.Seed, r.config.Name, index), first: never,
	}
	a.shaper, _ = t.(toxic.Shaper)
	return r.life.Inject(a.selects.Cycle, func(on bool) {
		r.change(func(toxics []*activeConn) []*activeConn {
			if on {
				return append(toxics, a)
			}
			return slices.DeleteFunc(toxics, func(b *activeConn) bool { return b == a })
		})
	}), nil
}

// change gives the loop a new snapshot of the toxics, and waits until
// every connection is in line with it.
func (r *Relay) change(edit func([]*activeConn) []*activeConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life.Closing() { // nothing would be applied
		return
	}
	r.wanted = edit(slices.Clone(r.wanted))
	next := &connToxics{r.wanted}
	r.loop.call(func() { r.loop.apply(r, next) })
}
