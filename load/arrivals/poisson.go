package arrivals

import (
	"math/rand/v2"
	"time"
)

// poisson has arrivals at sums of unit exponentials of the integrated rate.
// Every stripe draws the whole sequence and skips what is not its own: a draw
// costs a few nanoseconds, and the arrivals do not depend on the number of
// stripes.
type poisson struct {
	inverse
	rng  *rand.Rand
	area float64 // sum of the exponentials so far
	skip int     // arrivals of other stripes before our next one
	gap  int     // and between two of ours
}

func (p *poisson) Next() (time.Duration, bool) {
	for range p.skip {
		p.area += p.rng.ExpFloat64()
	}
	p.skip = p.gap
	p.area += p.rng.ExpFloat64()
	return p.due(p.area)
}

// newExponential is the source of the gaps. Its second word keeps it apart
// from other uses of the experiment's seed.
func newExponential(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, 0x617272697665)) // "arrive"
}
