package http

import (
	"math"
	"math/rand/v2"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// noise changes the bytes of one body that a Corruption takes, as they come.
type noise struct {
	of   toxic.Corruption
	rng  *rand.Rand
	next int64 // which byte of the body it changes next
}

// on changes bytes of a piece that begins at byte at of the body, and reports
// whether it did.
func (n *noise) on(c toxic.Corruption, at int64, piece []byte) (changed bool) {
	if c.Share <= 0 {
		return false
	}
	if c != n.of {
		*n = noise{of: c, rng: rand.New(rand.NewPCG(c.Seed, 0))}
		n.next = n.gap()
	}
	for end := at + int64(len(piece)); n.next < end; n.next += 1 + n.gap() {
		flip := byte(1 + n.rng.IntN(255)) // another byte for certain
		if n.next >= at {
			piece[n.next-at] ^= flip
			changed = true
		}
	}
	return changed
}

// gap draws how many bytes stay as they are before the next that does not: so
// many draws of a coin that says "change" with the probability Share come
// before the first that does (a geometric distribution, by inversion).
func (n *noise) gap() int64 {
	if n.of.Share >= 1 {
		return 0
	}
	return int64(min(math.Log(1-n.rng.Float64())/math.Log1p(-n.of.Share), 1<<53))
}
