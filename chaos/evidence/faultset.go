package evidence

import (
	"iter"
	"math/bits"
)

const (
	// MaxFaults is how many faults a run may have: Injection.Index is less.
	MaxFaults = 1000

	// FaultBits is how many of them, the first, have a bit in Exchange.Faults. Most runs have no more, and
	// pay neither memory nor bytes on disk for those that have.
	FaultBits = 64
)

// FaultSet is a set of faults by Injection.Index.
type FaultSet [(MaxFaults + 63) / 64]uint64

// Has reports whether it has the fault with this index, which may be any.
func (s *FaultSet) Has(fault int) bool {
	word := uint(fault) / 64
	return word < uint(len(s)) && s[word]&(1<<(uint(fault)%64)) != 0
}

// Add adds the fault with this index.
func (s *FaultSet) Add(fault int) { s[fault/64] |= 1 << (fault % 64) }

// All goes through the set in ascending order.
func (s *FaultSet) All() iter.Seq[int] {
	return func(yield func(fault int) bool) {
		for i, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(64*i + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

// Hits goes through the indexes of the faults that touched the exchange, in ascending order.
func (x *Exchange) Hits() iter.Seq[int] {
	return func(yield func(fault int) bool) {
		for bit := x.Faults; bit != 0; bit &= bit - 1 {
			if !yield(bits.TrailingZeros64(bit)) {
				return
			}
		}
		if x.Extras != nil && x.Extras.Further != nil {
			x.Extras.Further.All()(yield)
		}
	}
}

// Hits counts the exchanges that each fault touched, by its index.
func (l *Link) Hits() map[int]uint64 {
	hits := map[int]uint64{}
	for i := range l.Exchanges {
		for index := range l.Exchanges[i].Hits() {
			hits[index]++
		}
	}
	return hits
}

// Hits goes through the faults whose mark an exchange bears. It costs what they are,
// however many faults the run has.
func (r *Run) Hits(x *Exchange) iter.Seq[*Injection] {
	return func(yield func(*Injection) bool) {
		for index := range x.Hits() {
			if at := r.fault(index + 1); at >= 0 && !yield(&r.Faults[at]) {
				return
			}
		}
	}
}
