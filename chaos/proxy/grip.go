package proxy

import (
	"math/rand/v2"
	"slices"
	"time"
)

// activeStream is a Stream in force. Its address is its identity.
type activeStream struct {
	toxic     Stream
	shaper    Shaper // toxic, if it is one
	direction Direction
	index     int
	seed      uint64        // of its draws
	since     time.Duration // when the loop put it in force, by its clock
	seen      bool          // the loop has
	asked     uint64        // about how many connections
}

// streamToxics is a snapshot of those in force; but for what the loop notes in
// its activeStreams it never changes.
type streamToxics struct {
	list    []*activeStream
	applied chan struct{} // closed by the loop when every connection is in line with it
}

// holds tells whether a toxic is in force.
func (t *streamToxics) holds(a *activeStream) bool { return slices.Contains(t.list, a) }

// grip is a toxic's hold on a connection.
type grip struct {
	by    *activeStream
	fresh bool // the connection came after the toxic
	hit   bool // it has done something
	fate  StreamFate
	lanes [2]lane // by way
}

// lane is what a grip remembers of one direction.
type lane struct {
	passed int64         // bytes since the toxic has had the connection
	free   time.Duration // when the last piece left the Shaper
	rng    *rand.Rand
}

// gripOn is a toxic's hold on the connection with this number, if it takes it.
// What it draws depends on the seed, the link's name, the toxic's index, the
// number, and in each direction on how much was drawn before: not on other
// connections.
func gripOn(a *activeStream, conn uint64, d *draws) (g *grip, takes bool) {
	d.seed(a, conn, 0)
	a.asked++
	if !a.toxic.Takes(Candidate{conn, a.asked}, d.rng) {
		return nil, false
	}
	return &grip{by: a}, true
}

// draws is chance that can be seeded again.
type draws struct {
	pcg rand.PCG
	rng *rand.Rand
}

// seed makes d the chance of a toxic about one thing of a connection.
func (d *draws) seed(a *activeStream, conn, about uint64) {
	d.pcg.Seed(mix(a.seed^mix(conn)), mix(a.seed+about))
	if d.rng == nil {
		d.rng = rand.New(&d.pcg)
	}
}

// draws is the chance about pieces.
func (n *lane) draws(a *activeStream, conn uint64, way int) *rand.Rand {
	if n.rng == nil {
		var d draws
		d.seed(a, conn, 1+uint64(way))
		n.rng = d.rng
	}
	return n.rng
}

// stage is the place of a Shaper in a direction: pieces are cut before they
// wait for a narrow link, and a long one is behind that, so that how long it is
// takes nothing from its width.
func stage(s Shaper) int {
	switch s.(type) {
	case Slicer:
		return 0
	case Bandwidth:
		return 1
	case StreamLatency:
		return 3
	default:
		return 2
	}
}

// shapedBy brings the shapers among grips that cover one direction in order.
func shapedBy(shapers, grips []*grip, way Direction) []*grip {
	shapers = shapers[:0]
	for _, g := range grips {
		if g.by.shaper != nil && g.by.direction.covers(way) {
			shapers = append(shapers, g)
		}
	}
	slices.SortStableFunc(shapers, func(a, b *grip) int { return stage(a.by.shaper) - stage(b.by.shaper) })
	return shapers
}
