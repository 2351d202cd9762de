package load

import (
	"cmp"
	"sort"

	"github.com/stormctl/stormctl/load/wire"
)

// picker decides which route an arrival takes: a pure function of the plan's
// seed and the arrival's number, so that it depends neither on the number of
// loops nor on what the system does.
type picker struct {
	turns uint64 // that many routes are taken in turn; 0 draws
	seed  uint64
	upper []float64 // upper[i] is the part of all weight that routes 0..i have; the last is 1
	deal  *deal     // of regions, for each of which there is a route of each kind; nil is one
}

// pickerOf is the picker of a plan.
func pickerOf(p Plan) picker {
	if len(p.Regions) == 0 {
		if p.InOrder {
			return inTurn(len(p.Routes))
		}
		return newPicker(p.Seed, p.Routes)
	}
	var kinds []Route
	for i := 0; i < len(p.Routes); i += len(p.Regions) {
		kinds = append(kinds, p.Routes[i])
	}
	pick, d := newPicker(p.Seed, kinds), newDeal(p.Seed, p.Regions)
	if p.InOrder {
		pick = inTurn(len(kinds))
	}
	pick.deal = &d
	return pick
}

// inTurn takes one route after the other, and the first again after the last.
func inTurn(routes int) picker { return picker{turns: uint64(routes)} }

func newPicker(seed uint64, routes []Route) picker {
	sum := 0.0
	upper := make([]float64, len(routes))
	for i, r := range routes {
		sum += cmp.Or(r.Weight, 1)
		upper[i] = sum
	}
	for i := range upper {
		upper[i] /= sum
	}
	return picker{seed: seed, upper: upper}
}

func (p picker) route(id uint64) int {
	if p.deal != nil {
		return p.kind(id)*p.deal.of() + p.deal.region(id)
	}
	return p.kind(id)
}

// kind is the route, where there is one region.
func (p picker) kind(id uint64) int {
	if p.turns > 0 {
		return int((id - 1) % p.turns)
	}
	if len(p.upper) == 1 {
		return 0
	}
	u := float64(wire.Mix(p.seed^wire.Mix(id))>>11) / (1 << 53) // uniform in [0, 1)
	return sort.Search(len(p.upper)-1, func(i int) bool { return u < p.upper[i] })
}
