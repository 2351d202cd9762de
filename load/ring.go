package load

import "sync/atomic"

// Ring hands samples from one event loop to whoever writes them down: one
// writer, one reader, no lock, no allocation. When the reader is behind by the whole ring,
// further samples are counted as lost; the loop never waits.
//
// The writer owns head, the reader owns tail. A slot is written before head
// passes it and read before tail passes it, both with the atomics' release and
// acquire, so no slot is seen half-written or overwritten while read.
type Ring struct {
	slots []Sample // a power of two
	head  atomic.Uint64
	_     [56]byte // keeps head and tail on different cache lines
	tail  atomic.Uint64
	_     [56]byte
	lost  atomic.Uint64
}

// NewRing makes a ring of 2^bits slots.
func NewRing(bits int) *Ring { return &Ring{slots: make([]Sample, 1<<bits)} }

// Push adds a sample, or counts it as lost.
func (r *Ring) Push(s Sample) {
	h := r.head.Load()
	if h-r.tail.Load() == uint64(len(r.slots)) {
		r.lost.Add(1)
		return
	}
	r.slots[h&uint64(len(r.slots)-1)] = s
	r.head.Store(h + 1)
}

// Drain appends all that is there to dst.
func (r *Ring) Drain(dst []Sample) []Sample {
	t, h := r.tail.Load(), r.head.Load()
	for ; t != h; t++ {
		dst = append(dst, r.slots[t&uint64(len(r.slots)-1)])
	}
	r.tail.Store(h)
	return dst
}

// Lost is how many samples found no room.
func (r *Ring) Lost() uint64 { return r.lost.Load() }
