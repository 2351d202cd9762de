package tcp

import (
	"fmt"
	"slices"
	"sync"

	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// Config is what a relay of connections needs to know.
type Config struct {
	link.Config
	promoteAfter int // small messages in a row that put a connection on the fast path; 0 means calmAfter
}

// Relay is one link that knows connections and bytes, whatever is spoken.
type Relay struct {
	link.Counters
	config Config
	life   link.Life
	loop   *loop
	mu     sync.Mutex // the control plane's: orders changes of toxics
}

// Listen returns a relay that is bound. It accepts once Serve is called.
func Listen(c Config) (*Relay, error) {
	r := &Relay{config: c}
	var err error
	if r.loop, err = newLoop(r); err != nil {
		return nil, err
	}
	r.life.Start()
	r.life.WG.Go(r.loop.run)
	return r, nil
}

// Serve begins to accept callers. It does not wait.
func (r *Relay) Serve() {
	r.loop.prepared.Store(true)
	r.loop.wake()
}

// Addr is that of link.Relay.
func (r *Relay) Addr() string { return r.loop.listener.addr.String() }

// Connections is that of link.Relay.
func (r *Relay) Connections() int { return int(r.loop.open.Load()) }

// Close is that of link.Relay.
func (r *Relay) Close() error {
	l := r.loop
	r.mu.Lock()
	first := r.life.Close() // nothing wakes the loop after this: see change
	r.mu.Unlock()
	if first {
		l.closing.Store(true)
		l.wake()
	}
	<-l.done
	if first {
		r.life.WG.Wait()
		l.poller.Close()
	}
	if l.err != nil {
		return fmt.Errorf("close link %s: %w", r.config.Name, l.err)
	}
	return nil
}

// Add is that of link.Relay.
func (r *Relay) Add(index int, t toxic.Toxic, d toxic.Direction) (remove func(), err error) {
	if err := link.CheckIndex(index); err != nil {
		return nil, fmt.Errorf("%v on link %s: %w", t, r.config.Name, err)
	}
	c, err := toxic.OnConns(t)
	if err != nil {
		return nil, fmt.Errorf("link %s knows connections: %w", r.config.Name, err)
	}
	a := &activeConn{
		toxic: c, selects: t.Selection(), direction: d, index: index,
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
	l := r.loop
	next := &connToxics{edit(slices.Clone(l.next.Load().list)), make(chan struct{})}
	if r.life.Closing() { // the loop has ended or will: nothing would be applied
		return
	}
	l.next.Store(next)
	l.wake()
	select {
	case <-next.applied:
	case <-l.done:
	}
}
