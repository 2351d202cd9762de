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

// AddStream puts a toxic in force in a direction and returns what takes it out
// again; it is what Add is for Toxic, on a relay of toxic.ProtocolTCP. Both act at
// once, on open connections too, and lose no byte and reorder none: when remove
// returns nothing is held or delayed by it any more. Neither waits for longer
// than the relay takes for what it is just doing. remove may be called again,
// and after Close.
//
// It panics if the relay is of another protocol, or the index out of range.
func (r *Relay) AddStream(index int, d toxic.Direction, t toxic.Stream) (remove func()) {
	if index < 0 || index > MaxIndex {
		panic(fmt.Sprintf("proxy: toxic index %d is not 0 to %d", index, MaxIndex))
	}
	if r.config.Protocol != toxic.ProtocolTCP {
		panic(fmt.Sprintf("proxy: %s is for protocol %s, and link %s speaks %s", t, toxic.ProtocolTCP, r.config.Name, r.config.Protocol))
	}
	a := &activeStream{toxic: t, selects: t.Selection(), direction: d, index: index, seed: toxic.Seed(r.config.Seed, r.config.Name, index), first: never}
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
	})
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
