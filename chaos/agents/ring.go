package agents

import (
	"sync/atomic"

	"github.com/stormctl/stormctl/load"
)

// ringRoom is how many samples an event loop may be ahead of who reads them: a third of
// a second at 100,000/s. It is a power of two.
const ringRoom = 1 << 15

// ring hands samples from one event loop to one reader, without a lock or an
// allocation. When it is full, a sample is counted as lost.
type ring struct {
	samples [ringRoom]load.Sample
	written atomic.Uint64
	_       [56]byte // keeps what each side writes off the other's cache line
	read    atomic.Uint64
	lost    atomic.Uint64
}

// put is on the loop's hot path.
func (r *ring) put(s load.Sample) {
	at := r.written.Load()
	if at-r.read.Load() == ringRoom {
		r.lost.Store(r.lost.Load() + 1)
		return
	}
	r.samples[at%ringRoom] = s
	r.written.Store(at + 1)
}

// take calls each with what has come, at most so many.
func (r *ring) take(most int, each func(*load.Sample)) (n int) {
	at, end := r.read.Load(), r.written.Load()
	for ; at < end && n < most; n++ {
		each(&r.samples[at%ringRoom])
		at++
	}
	r.read.Store(at)
	return n
}
