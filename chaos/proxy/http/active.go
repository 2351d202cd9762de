package http

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// active is a toxic in force. Its address is its identity: the same toxic
// added twice is two of them. What it counts it counts by atomics: the data
// path takes no lock of the control plane.
type active struct {
	toxic    toxic.ExchangeToxic
	selects  toxic.Select
	takes    toxic.Select // selects, with the ramp of what grows in its share
	mark     *link.Mark
	seed     uint64    // of its draws
	start    time.Time // when it was injected
	matched  atomic.Uint64
	holding  atomic.Int64 // exchanges it has hold of; counted only if that is bounded
	attempts attempts
}

func newActive(t toxic.ExchangeToxic, mark *link.Mark, seed uint64) *active {
	a := &active{toxic: t, selects: t.Selection(), takes: t.Selection(), mark: mark, seed: seed, start: time.Now()}
	if toxic.GrowsInSize(t) {
		a.takes.Ramp = 0
	}
	return a
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
	if !a.takes.Takes(x, rng) {
		return toxic.Fate{}
	}
	return a.toxic.DecideExchange(x, rng)
}

// acquire reports whether the toxic may have hold of one more exchange, and counts
// it until release.
func (a *active) acquire() bool {
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

func (a *active) release() {
	if a.selects.MaxActive > 0 {
		a.holding.Add(-1)
	}
}

// Add is that of link.Relay.
func (r *Relay) Add(index int, t toxic.Toxic, d toxic.Direction) (remove func(), err error) {
	mark, err := r.Mark(index)
	if err != nil {
		return nil, fmt.Errorf("%v on link %s: %w", t, r.config.Name, err)
	}
	e, err := toxic.OnExchanges(t)
	if err != nil {
		return nil, fmt.Errorf("link %s passes exchanges: %w", r.config.Name, err)
	}
	if d != toxic.Both {
		return nil, fmt.Errorf("%v on link %s: it passes exchanges, which have no direction %s", t, r.config.Name, d)
	}
	a := newActive(e, mark, toxic.Seed(r.config.Seed, r.config.Name, index))
	heal := r.life.Inject(a.selects.Cycle, func(on bool) {
		r.change(func(toxics []*active) []*active {
			if on {
				return append(toxics, a)
			}
			return slices.DeleteFunc(toxics, func(b *active) bool { return b == a })
		})
	})
	return func() {
		heal()
		a.attempts.forget() // a connection that is idle refers to what has decided of its last exchange
	}, nil
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
