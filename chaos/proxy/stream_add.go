package proxy

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// addStream is Add for a relay of connections.
func (r *Relay) addStream(index int, t toxic.Toxic, d toxic.Direction) (remove func(), err error) {
	c, err := toxic.OnConns(t)
	if err != nil {
		return nil, fmt.Errorf("link %s knows connections: %w", r.config.Name, err)
	}
	a := &activeStream{toxic: c, selects: t.Selection(), direction: d, index: index, seed: toxic.Seed(r.config.Seed, r.config.Name, index), first: never}
	a.shaper, _ = t.(toxic.Shaper)
	turn := func(on bool) {
		r.changeStreams(func(toxics []*activeStream) []*activeStream {
			if on {
				return append(toxics, a)
			}
			return slices.DeleteFunc(toxics, func(b *activeStream) bool { return b == a })
		})
	}
	start := time.Now()
	turn(true)
	still := r.cycle(a.selects.Cycle, start, turn)
	return sync.OnceFunc(func() {
		still()
		turn(false)
	}), nil
}

// changeStreams gives the loop a new snapshot of the toxics, and waits until
// every connection is in line with it.
func (r *Relay) changeStreams(edit func([]*activeStream) []*activeStream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.streams
	next := &streamToxics{edit(slices.Clone(l.next.Load().list)), make(chan struct{})}
	if r.closing.Load() { // there is nobody to wait for, and nothing to wake
		return
	}
	l.next.Store(next)
	l.wake()
	select {
	case <-next.applied:
	case <-l.done:
	}
}

// Connections is how many connections of callers are open.
func (r *Relay) Connections() int {
	if r.streams != nil {
		return int(r.streams.open.Load())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// Accepted is how many connections callers have made so far.
func (r *Relay) Accepted() uint64 { return r.accepted.Load() }

// Bytes is how many bytes have been given to the dependency (Upstream) or to
// callers (Downstream); Both is their sum.
func (r *Relay) Bytes(d toxic.Direction) uint64 {
	passed := &r.passed
	if r.streams != nil {
		passed = &r.streams.bytes
	}
	return bytesOf(passed, d)
}

// Received is how many bytes have come from callers (Upstream) or from the
// dependency (Downstream); Both is their sum. They may be under way still, or
// have been dropped.
func (r *Relay) Received(d toxic.Direction) uint64 { return bytesOf(&r.received, d) }

func bytesOf(by *[2]atomic.Uint64, d toxic.Direction) uint64 {
	up, down := by[toDependency].Load(), by[toCaller].Load()
	switch d {
	case toxic.Upstream:
		return up
	case toxic.Downstream:
		return down
	default:
		return up + down
	}
}

// counting counts what is read.
type counting struct {
	io.Reader
	count *atomic.Uint64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.count.Add(uint64(n))
	return n, err
}
