package evidence

import (
	"math/bits"
	"sync/atomic"
)

// ring hands lines from one event loop to the writer: no lock, no allocation.
// When the reader is behind by the whole ring, further lines are counted as
// lost; the loop never waits.
//
// The loop owns head, the reader owns tail. Bytes are written before head
// passes them and read before tail passes them, both with the atomics' release
// and acquire, so none is seen half-written or overwritten while read. Head
// passes whole lines only.
type ring struct {
	buf     []byte // a power of two, and longest behind it, where a line is made that goes on at the beginning
	size    uint64
	longest uint64 // of all lines
	at      uint64 // head, for the loop

	_    [64]byte // keeps head and tail on cache lines of their own
	head atomic.Uint64
	_    [56]byte
	tail atomic.Uint64
	_    [56]byte
	lost atomic.Uint64
}

// newRing makes a ring for room bytes, or for some lines if those are longer.
func newRing(room, longest int) *ring {
	size := 1 << bits.Len(uint(max(room, 4*longest)-1))
	return &ring{buf: make([]byte, size+longest), size: uint64(size), longest: uint64(longest)}
}

// line is where the loop makes its next line, of length 0; nil if there is no
// room: then the line is counted as lost.
func (r *ring) line() []byte {
	if r.at+r.longest-r.tail.Load() > r.size {
		r.lost.Add(1)
		return nil
	}
	at := r.at & (r.size - 1)
	return r.buf[at:at:len(r.buf)]
}

// put adds what was made from line.
func (r *ring) put(line []byte) {
	at := r.at & (r.size - 1)
	if end := at + uint64(len(line)); end > r.size {
		copy(r.buf, r.buf[r.size:end])
	}
	r.at += uint64(len(line))
	r.head.Store(r.at)
}

// filled is what the reader has to read, in two parts. They are valid until
// free.
func (r *ring) filled() (first, second []byte) {
	tail := r.tail.Load()
	n, at := r.head.Load()-tail, tail&(r.size-1)
	if at+n <= r.size {
		return r.buf[at : at+n], nil
	}
	return r.buf[at:r.size], r.buf[:at+n-r.size]
}

// free gives n bytes back that were read.
func (r *ring) free(n int) { r.tail.Store(r.tail.Load() + uint64(n)) }
