package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/stormctl/stormctl/chaos/distribution"
)

// A share that is known of n draws is known less well of n requests, if they fail in
// bursts: an outage is one draw, however many requests it takes. By how much is the
// design effect of sampling theory (Kish 1965): the variance of the failures, measured,
// over that of as many draws. It is measured over seconds, and over blocks of 2, 4, 8 ...
// seconds as long as there are 8 of them, for an outage may last; the largest counts,
// and never less than 1. Where blocks are few, or bursts, the variance is itself not
// known well: it costs what so many degrees of freedom cost in Student's distribution (Korn and
// Graubard 1998).
//
// That more fail while a fault is in force than otherwise is the plan's doing and no
// chance: deviations are from the mean of the requests under the same faults, which are
// the strata of the sample.

// draws is a share as one of independent draws.
type draws struct {
	n, failed float64       // requests
	effect    float64       // so many of them are one draw
	block     time.Duration // that it was measured over; 0 where failures came one by one
}

// leastBlocks is how many blocks a variance is measured from.
const leastBlocks = 8

// draws measures the design effect of what fails.
func (s service) draws(fails func(tried) float64, confidence float64) draws {
	d := draws{effect: 1}
	sums := make([]tried, s.strata)
	for _, t := range s.tried {
		d.n += t.n
		d.failed += fails(t)
		sums[t.stratum].n += t.n
		sums[t.stratum].failed += fails(t)
	}
	if d.failed < 2 || d.failed >= d.n { // a single one is no burst
		return d
	}
	seconds := s.tried[len(s.tried)-1].second + 1
	off := make([]float64, seconds) // by how much more failed in each than in its strata
	for _, t := range s.tried {
		off[t.second] += fails(t) - t.n*sums[t.stratum].failed/sums[t.stratum].n
	}
	drawn := d.n * (d.failed / d.n) * (1 - d.failed/d.n) // the variance of draws
	normal := distribution.StudentQuantile(confidence, math.Inf(1))
	for block := 1; block == 1 || seconds/block >= leastBlocks; block *= 2 {
		blocks := float64(seconds) / float64(block)
		effect := squares(off, block) / float64(block) / drawn
		if blocks > 1 {
			effect /= 1 - 1/blocks // the mean was taken from them
		}
		if effect <= 1 {
			continue
		}
		free := max(1, min(blocks-float64(s.strata), d.failed/effect))
		effect *= math.Pow(distribution.StudentQuantile(confidence, free)/normal, 2)
		if effect > d.effect {
			d.effect, d.block = effect, time.Duration(block)*time.Second
		}
	}
	d.effect = min(d.effect, d.failed) // all failures are one draw at worst
	return d
}

// squares is the sum of the squares of all sums of so many neighbours, the first ones
// after the last.
func squares(off []float64, block int) (sum float64) {
	block = min(block, len(off))
	window := 0.0
	for _, x := range off[:block] {
		window += x
	}
	for i := range off {
		sum += window * window
		window += off[(i+block)%len(off)] - off[i]
	}
	return sum
}

// text says by how much failures came in bursts; "" if they came one by one.
func (d draws) text() string {
	if d.effect <= 1 {
		return ""
	}
	return fmt.Sprintf(" in bursts, which tell no more than %.3g of %.0f would one by one (design effect %.3g over %s)",
		d.failed/d.effect, d.n/d.effect, d.effect, short(d.block))
}

// failsAtMost is the share that fails at most in the long run, with the confidence.
func (d draws) failsAtMost(confidence float64) float64 {
	n, failed := d.n/d.effect, d.failed/d.effect
	if failed >= n {
		return 1
	}
	return distribution.BetaQuantile(confidence, failed+1, n-failed)
}

// failsAtLeast is the share that fails at least.
func (d draws) failsAtLeast(confidence float64) float64 {
	n, failed := d.n/d.effect, d.failed/d.effect
	if failed <= 0 {
		return 0
	}
	return distribution.BetaQuantile(1-confidence, failed, n-failed+1)
}

// untilHeld is how many more requests, of which none fails, show that at most the share
// allowed fails.
func (d draws) untilHeld(allowed, confidence float64) float64 {
	failed := d.failed / d.effect
	shows := func(n float64) bool {
		return distribution.BetaBelow(allowed, failed+1, n/d.effect-failed) >= confidence
	}
	return math.Ceil(fewest(d.n, shows)) - d.n
}

// untilRefuted is the same of requests that fail as those so far, to show that more
// fails; infinite where no number of them would.
func (d draws) untilRefuted(allowed, confidence float64) float64 {
	shows := func(n float64) bool {
		failed := d.failed * n / d.n / d.effect
		return distribution.BetaBelow(allowed, failed, n/d.effect-failed+1) <= 1-confidence
	}
	return math.Ceil(fewest(d.n, shows)) - d.n
}

// fewest is the least n, to a whole one, above a first that is not enough, that is
// enough; infinite if there is none up to a billion times the first.
func fewest(first float64, enough func(n float64) bool) float64 {
	low, high := first, first+1
	for ; !enough(high); high = first + 2*(high-first) {
		if low = high; high > 1e9*max(first, 1) {
			return math.Inf(1)
		}
	}
	for high-low > 1 {
		if middle := math.Floor((low + high) / 2); enough(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}
