package proxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// MaxIndex is the greatest index a toxic may have: each is a bit of
// evidence.Exchange.Faults.
const MaxIndex = 63

// active is a toxic in force. Its address is its identity: the same toxic
// added twice is two of them. What it counts it counts by atomics: the data
// path takes no lock of the control plane.
type active struct {
	toxic    toxic.ExchangeToxic
	selects  toxic.Select
	index    int
	seed     uint64    // of its draws
	start    time.Time // when it was injected
	matched  atomic.Uint64
	holding  atomic.Int64 // exchanges it has hold of; counted only if that is bounded
	attempts attempts
}

// decide asks the toxic about an exchange.
func (a *active) decide(x *toxic.Head, rng *rand.Rand) toxic.Fate {
	x.Ordinal, x.Since = 0, 0
	if a.selects.Counts() && a.selects.Matches(x) {
		x.Ordinal = a.matched.Add(1)
	}
	if a.selects.Ramp > 0 {
		x.Since = time.Since(a.start)
	}
	return a.toxic.DecideExchange(x, rng)
}

// grasp tells whether the toxic may have hold of one more exchange, and counts
// it until letGo.
func (a *active) grasp() bool {
	most := int64(a.selects.MaxActive)
	for most > 0 {
		n := a.holding.Load()
		if n >= most {
			return false
		}
		if a.holding.CompareAndSwap(n, n+1) {
			break
		}
	}
	return true
}

func (a *active) letGo() {
	if a.selects.MaxActive > 0 {
		a.holding.Add(-1)
	}
}

// Add puts a toxic in force and returns what takes it out again. Both act at
// once, on open connections and on exchanges in flight. When Add returns, every
// exchange in progress has been decided for, and when remove returns nothing is
// delayed or kept by the toxic any more. No byte is lost or overtakes another.
// Neither waits for a peer. remove may be called again, and after Close.
//
// index is the toxic's bit in Exchange.Faults. direction is which way's bytes it
// is about, where there are connections only. An error says that the index is not
// 0 to MaxIndex, or why the toxic or its direction does not fit the protocol.
//
// Of exchanges in flight it decides in no particular order, which matters to a
// toxic that counts (Select.First, Select.Every). A fault counts as having hit an
// exchange if it delayed it or decided its verb, even where a stronger one hid it;
// what happens to a response or on the way there counts when it happens.
//
// What a toxic may still do to an exchange in flight:
//
//   - Break and Stall: everything, up to its last byte.
//   - Delay: before the request has been passed on it waits for that much
//     longer, behind that the head of its response does; once the response has
//     begun to reach the caller, nothing.
//   - Respond: until the response has begun to reach the caller. The connection
//     to the dependency is closed then.
//   - Withhold, Late and Drop: until the response has begun to reach the caller.
//   - What is done to a body: to what is left of it.
//   - Twice: nothing, once the request has begun to be passed on.
func (r *Relay) Add(index int, t toxic.Toxic, d toxic.Direction) (remove func(), err error) {
	if index < 0 || index > MaxIndex {
		return nil, fmt.Errorf("%v on link %s: toxic index %d is not 0 to %d", t, r.config.Name, index, MaxIndex)
	}
	if r.streams != nil {
		return r.addStream(index, t, d)
	}
	e, err := toxic.OnExchanges(t)
	if err != nil {
		return nil, fmt.Errorf("link %s passes exchanges: %w", r.config.Name, err)
	}
	if d != toxic.Both {
		return nil, fmt.Errorf("%v on link %s: it passes exchanges, which have no direction %s", t, r.config.Name, d)
	}
	a := &active{
		toxic: e, selects: t.Selection(), index: index,
		seed: toxic.Seed(r.config.Seed, r.config.Name, index), start: time.Now(),
	}
	r.put(a)
	still := r.cycle(a.selects.Cycle, a.start, func(on bool) {
		if on {
			r.put(a)
		} else {
			r.take(a)
		}
	})
	return sync.OnceFunc(func() {
		still()
		r.take(a)
	}), nil
}

func (r *Relay) put(a *active) {
	r.change(func(toxics []*active) []*active { return append(toxics, a) })
}

func (r *Relay) take(a *active) {
	r.change(func(toxics []*active) []*active {
		return slices.DeleteFunc(toxics, func(b *active) bool { return b == a })
	})
}

// cycle lets a toxic that was put in force at start come and go by turns, if it is
// one that does (c is not nil), until still is called. When that returns, it stays
// as it is.
func (r *Relay) cycle(c *toxic.Cycle, start time.Time, turn func(on bool)) (still func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c == nil || r.closing.Load() {
		return func() {}
	}
	ctx, stop := context.WithCancel(r.ctx)
	done := make(chan struct{})
	r.wg.Go(func() {
		defer close(done)
		c.Run(ctx, start, turn)
	})
	return func() {
		stop()
		<-done
	}
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

// Overflow is how many exchanges the toxics with this index have let go
// because they had hold of as many as they may (Select.MaxActive).
func (r *Relay) Overflow(index int) uint64 {
	if index < 0 || index > MaxIndex {
		return 0
	}
	return r.overflows[index].Load()
}
