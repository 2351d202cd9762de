package load

import (
	"errors"
	"fmt"
	"iter"

	"github.com/stormctl/stormctl/load/arrivals"
)

// Stripes is the part of a load that one process of several sends. Loops deal the
// arrivals out as they do within a process: loop k has the arrivals First+k, First+k+Of
// and so on, counted from 0. All parts together are the load of one process with Of
// loops, arrival for arrival; what is bounded over all loops is shared out in the same
// way. The zero Stripes are all of it.
type Stripes struct {
	First int // of the loops of all processes, this one's first
	Of    int // loops of all processes together; 0 means that this process has all of them
}

// check says what is wrong with the stripes of a plan.
func (s Stripes) check(p Plan) error {
	switch {
	case s == Stripes{}:
		return nil
	case p.Closed != nil:
		return errors.New("the closed model has no stripes: its connections are not dealt out")
	case p.Loops <= 0 || s.First < 0 || s.First+p.Loops > s.Of:
		return fmt.Errorf("stripes %d to %d are not among %d: give loops", s.First, s.First+p.Loops-1, s.Of)
	case s.Of > maxConns(p):
		return fmt.Errorf("%d event loops, and %d connections: each needs one", s.Of, maxConns(p))
	}
	return nil
}

// of is how many loops the arrivals are dealt to.
func (g *program) of() int {
	if g.Stripes.Of > 0 {
		return g.Stripes.Of
	}
	return g.shards
}

// Due yields what the loops of a plan send, loop after loop: the ID, Route and Intended
// of each arrival, and nothing else. What a process that is lost had to send is found with it.
func Due(p Plan) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		g := program{Plan: p, shards: Shards(p), pick: pickerOf(p)}
		for k := range g.shards {
			if !g.dueIn(k, yield) {
				return
			}
		}
	}
}

// dueIn yields what loop k sends, and reports whether more is wanted.
func (g *program) dueIn(k int, yield func(Sample) bool) bool {
	stripe, stop := arrivals.Stripe(g.Schedule, g.Stripes.First+k, g.of())
	defer stop()
	for id := uint64(g.Stripes.First + k + 1); ; id += uint64(g.of()) {
		t, ok := stripe.Next()
		if !ok {
			return true
		}
		if !yield(Sample{ID: id, Route: g.pick.route(id), Intended: t}) {
			return false
		}
	}
}
