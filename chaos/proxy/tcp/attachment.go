package tcp

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// activeConn is a ConnToxic in force. Its address is its identity.
type activeConn struct {
	toxic     toxic.ConnToxic
	selects   toxic.Select
	shaper    toxic.Shaper // toxic, if it is one
	direction toxic.Direction
	mark      *link.Mark
	seed      uint64 // of its draws

	// What the loop notes, times by its clock.
	first   time.Duration // when it was put in force first; never if it was not yet
	since   time.Duration // when it was put in force
	seen    bool          // it is
	asked   uint64        // about how many connections, since then
	holding int           // how many it has hold of
}

// grown is how far the toxic has grown, 0 to 1.
func (a *activeConn) grown(now time.Duration) float64 {
	if since := now - a.first; since < a.selects.Ramp {
		return float64(since) / float64(a.selects.Ramp)
	}
	return 1
}

// connToxics is a snapshot of those in force; but for what the loop notes in
// its activeConns it never changes.
type connToxics struct {
	list []*activeConn
}

// holds reports whether a toxic is in force.
func (t *connToxics) holds(a *activeConn) bool { return slices.Contains(t.list, a) }

// attachment is a toxic's hold on a connection.
type attachment struct {
	by         *activeConn
	from       time.Duration // when it has grown to this connection, by the loop's clock
	holds      bool          // it has
	fresh      bool          // the connection came after the toxic
	hit        bool          // it has done something
	fate       toxic.ConnFate
	directions [2]directionState // by link.Direction
}

// directionState is what an attachment remembers of one direction.
type directionState struct {
	passed int64         // bytes since the toxic has had the connection
	free   time.Duration // when the last piece left the Shaper
	rng    *rand.Rand
}

// attachmentOn is a toxic's hold on the connection with this number, if it takes it.
// What it draws depends on the seed, the link's name, the toxic's index, the
// number, and in each direction on how much was drawn before: not on other
// connections.
func attachmentOn(a *activeConn, conn uint64, d *draw) (g *attachment, takes bool) {
	d.seed(a, conn, 0)
	a.asked++
	selects := a.selects
	selects.Ramp = 0 // what is taken it has when its share has grown that far
	if !selects.Takes(&toxic.Head{Conn: conn, Ordinal: a.asked}, d.rng) {
		return nil, false
	}
	g = &attachment{by: a, from: a.since}
	if a.selects.Ramp > 0 && !toxic.GrowsInSize(a.toxic) {
		// It takes the connection when its share has grown to what was drawn.
		d.seed(a, conn, 0)
		g.from = max(a.since, a.first+time.Duration(d.rng.Float64()/float64(a.selects.Share)*float64(a.selects.Ramp)))
	}
	return g, true
}

// acquire makes the toxic act on the connection. It reports false past MaxActive.
func (g *attachment) acquire() bool {
	if most := g.by.selects.MaxActive; most > 0 && g.by.holding >= most {
		return false
	}
	g.by.holding++
	g.holds = true
	return true
}

// release is the end of acquire.
func (g *attachment) release() {
	if g.holds {
		g.by.holding--
	}
}

// draw is chance that can be seeded again.
type draw struct {
	pcg rand.PCG
	rng *rand.Rand
}

// seed makes d the chance of a toxic about one thing of a connection.
func (d *draw) seed(a *activeConn, conn, about uint64) {
	toxic.Reseed(&d.pcg, a.seed, conn, about)
	if d.rng == nil {
		d.rng = rand.New(&d.pcg)
	}
}

// draw is the chance about pieces.
func (n *directionState) draw(a *activeConn, conn uint64, dir link.Direction) *rand.Rand {
	if n.rng == nil {
		var d draw
		d.seed(a, conn, 1+uint64(dir))
		n.rng = d.rng
	}
	return n.rng
}

// stage is the place of a Shaper in a direction: bytes are cut into pieces, these are
// slowed down to a bandwidth, and what comes through is delayed by a latency. So a
// latency does not lower the bandwidth.
func stage(s toxic.Shaper) int {
	switch s.(type) {
	case toxic.Slicer:
		return 0
	case toxic.Bandwidth:
		return 1
	case toxic.Latency:
		return 3
	default:
		return 2
	}
}

// shapedBy brings the shapers among attachments that cover one direction in order.
func shapedBy(shapers, attachments []*attachment, d toxic.Direction) []*attachment {
	shapers = shapers[:0]
	for _, g := range attachments {
		if g.holds && g.by.shaper != nil && g.by.direction.Covers(d) {
			shapers = append(shapers, g)
		}
	}
	slices.SortStableFunc(shapers, func(a, b *attachment) int { return stage(a.by.shaper) - stage(b.by.shaper) })
	return shapers
}
