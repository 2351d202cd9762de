package proxy

import (
	"fmt"
	"slices"
	"sync"
)

// MaxIndex is the greatest index a toxic may have: each is a bit of
// evidence.Exchange.Faults.
const MaxIndex = 63

// active is a toxic in force. Its address is its identity: the same toxic
// added twice is two of them.
type active struct {
	toxic    Toxic
	index    int
	seed     uint64 // of its draws
	attempts attempts
}

// Add puts a toxic in force and returns what takes it out again. Both act at
// once, on open connections and on exchanges in flight: when Add returns, every
// exchange in progress has been decided for, and when remove returns nothing
// is held or delayed by it any more. No byte is lost either way. remove may be
// called again, and after Close.
//
// index is the toxic's bit in Exchange.Faults; it panics if that is not 0 to
// MaxIndex, and if the relay's protocol is one of streams. A fault counts as having hit an exchange if it decided anything but
// to let it pass, even where a stronger one hid it.
//
// What a toxic may still do to an exchange in flight:
//
//   - Break and Hold: everything, up to its last byte.
//   - Delay: before the request has been passed on it waits for that much
//     longer, behind that the head of its response does; once the response has
//     begun to reach the caller, nothing.
//   - Respond: until the response has begun to reach the caller. The connection
//     to the dependency is closed then.
func (r *Relay) Add(index int, t Toxic) (remove func()) {
	if index < 0 || index > MaxIndex {
		panic(fmt.Sprintf("proxy: toxic index %d is not 0 to %d", index, MaxIndex))
	}
	if r.streams != nil {
		panic(fmt.Sprintf("proxy: %s is for exchanges, and link %s knows connections only", t, r.config.Name))
	}
	a := &active{toxic: t, index: index, seed: toxicSeed(r.config.Seed, r.config.Name, index)}
	r.change(func(toxics []*active) []*active { return append(toxics, a) })
	return sync.OnceFunc(func() {
		r.change(func(toxics []*active) []*active {
			return slices.DeleteFunc(toxics, func(b *active) bool { return b == a })
		})
	})
}

// change publishes a new snapshot of the toxics and brings the exchanges in
// progress into line with it. An exchange that begins meanwhile reads the old
// snapshot and is reviewed, or the new one.
func (r *Relay) change(edit func([]*active) []*active) {
	r.mu.Lock()
	defer r.mu.Unlock()
	toxics := edit(slices.Clone(*r.toxics.Load()))
	r.toxics.Store(&toxics)
	for c := range r.conns {
		c.review(toxics)
	}
}

// Hit is how many exchanges the toxics with this index have touched.
func (r *Relay) Hit(index int) uint64 {
	if index < 0 || index > MaxIndex {
		return 0
	}
	return r.hits[index].Load()
}
