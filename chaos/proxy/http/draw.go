package http

import (
	"math/rand/v2"
	"sync"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// draw is the chance of one toxic about one exchange: a source that is seeded
// only when it is drawn from, so that a toxic that leaves nothing to chance
// costs nothing.
//
// What it yields depends on the seed, the link's name, the toxic's index, the
// request id, and which attempt of that request this is among those the toxic
// drew for: not on connections, nor on time. So the same seed hits the same
// requests, and the retry of a request is a new draw. A request that carries no
// id has only its place in the order of exchanges to depend on.
type draw struct {
	active *active
	id     uint64
	seq    uint64
	seeded bool
	rng    *rand.Rand // from it
	pcg    rand.PCG
}

func (d *draw) init() { d.rng = rand.New(d) }

func (d *draw) about(a *active, id, seq uint64) {
	d.active, d.id, d.seq, d.seeded = a, id, seq, false
}

// Uint64 makes draw a rand.Source.
func (d *draw) Uint64() uint64 {
	if !d.seeded {
		d.seeded = true
		subject, attempt := d.id, uint64(0)
		if subject != 0 {
			attempt = d.active.attempts.next(subject)
		} else {
			subject = ^d.seq // not to draw as the request with that id would
		}
		toxic.Reseed(&d.pcg, d.active.seed, subject, attempt)
	}
	return d.pcg.Uint64()
}

// attempts counts how often each request id came. It is bounded: an id that
// was not seen while rememberedIDs others came is forgotten, and its next
// attempt counts as its first.
type attempts struct {
	mu         sync.Mutex
	young, old map[uint64]uint64
}

const rememberedIDs = 1 << 16

// next returns how many attempts of id came before.
func (a *attempts) next(id uint64) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, ok := a.young[id]
	if !ok {
		n = a.old[id]
		if len(a.young) >= rememberedIDs || a.young == nil {
			a.old, a.young = a.young, make(map[uint64]uint64)
		}
	}
	a.young[id] = n + 1
	return n
}

// forget forgets every id.
func (a *attempts) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.young, a.old = nil, nil
}
