package load

import (
	"errors"
	"math/bits"

	"github.com/stormctl/stormctl/load/wire"
)

// Regions are the parts that the places have which arrivals come from: {3, 2} is three
// of five from the first, two of five from the second. nil is one place. With n of them
// Plan.Routes has each kind of request n times, next to each other, in their order: an
// arrival draws its kind by weight, and has its region by its number, so that of every
// round of arrivals (the sum of the parts, divided by what they have in common) each
// region has its part exactly. Both depend on Plan.Seed and the number alone.
type Regions []uint64

// mostRound bounds the parts, so that no product of the deal overflows.
const mostRound = 1 << 31

// check says what is wrong with the regions of a plan.
func (r Regions) check(routes int) error {
	var sum uint64
	for _, part := range r {
		if part == 0 || part > mostRound {
			return errors.New("the part of a region is not 1 to 2³¹")
		}
		sum += part
	}
	switch {
	case sum > mostRound:
		return errors.New("the parts of the regions come to more than 2³¹")
	case len(r) > 0 && routes%len(r) != 0:
		return errors.New("not every route is there for each region")
	}
	return nil
}

// deal says which region an arrival is from. Its zero value has one.
//
// A round is dealt out by steps of about round/φ, which spread the arrivals of a region
// over it as evenly as steps of one length can (Knuth, The Art of Computer Programming,
// volume 3, 6.4): blocks of one region would be load that comes and goes. Each round
// begins elsewhere, by the seed, so that what else recurs with the number of an arrival,
// a row of data or a key, has no region of its own.
type deal struct {
	seed  uint64
	round uint64   // arrivals in which each region has its part exactly
	step  uint64   // has no divisor in common with round
	upper []uint64 // regions 0..i have upper[i] arrivals of a round
}

func newDeal(seed uint64, parts Regions) deal {
	if len(parts) == 0 {
		return deal{}
	}
	common, sum := uint64(0), uint64(0)
	for _, part := range parts {
		common = divisor(common, part)
	}
	d := deal{seed: seed}
	for _, part := range parts {
		sum += part / common
		d.upper = append(d.upper, sum)
	}
	d.round = sum
	d.step = max(1, sum*618/1000)
	for divisor(d.step, sum) != 1 {
		d.step++
	}
	return d
}

// divisor is the greatest one that two numbers have in common; that of 0 and x is x.
func divisor(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// of is how many regions there are.
func (d *deal) of() int { return max(1, len(d.upper)) }

// region of the arrival with an id. It is on the path of each arrival: it allocates
// nothing.
func (d *deal) region(id uint64) int {
	if d.round <= 1 {
		return 0
	}
	round, at := (id-1)/d.round, (id-1)%d.round
	begin, _ := bits.Mul64(wire.Mix(^d.seed^wire.Mix(round)), d.round) // uniform in [0, round)
	slot := (at*d.step + begin) % d.round
	i := 0
	for slot >= d.upper[i] {
		i++
	}
	return i
}
