package judge

import (
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// picked is some of the records of a run, in some order, without a copy of them:
// there may be millions, and many claims look at them.
type picked[T any] struct {
	of     []T     // the run's own: they must not be changed
	places []int32 // where in of they are; nil if they follow each other there
	first  int     // then the first of them
	n      int
}

// every is all records.
func every[T any](of []T) picked[T] { return picked[T]{of: of, n: len(of)} }

// at is those at some places.
func at[T any](of []T, places []int32) picked[T] {
	if places == nil {
		return picked[T]{}
	}
	return picked[T]{of: of, places: places, n: len(places)}
}

func (p picked[T]) len() int { return p.n }

// place is where in of the i-th is.
func (p picked[T]) place(i int) int32 {
	if p.places == nil {
		return int32(p.first + i)
	}
	return p.places[i]
}

// get is the i-th, which is the run's own.
func (p picked[T]) get(i int) *T { return &p.of[p.place(i)] }

// part is those from lo up to hi, without hi; none if that is not behind lo.
func (p picked[T]) part(lo, hi int) picked[T] {
	hi = max(lo, hi)
	if p.places == nil {
		p.first += lo
	} else {
		p.places = p.places[lo:hi]
	}
	p.n = hi - lo
	return p
}

// before is how many there are until reached says that there are no more: it is
// false of the first ones, and true of the rest.
func (p picked[T]) before(reached func(record *T) bool) int {
	return sort.Search(p.n, func(i int) bool { return reached(p.get(i)) })
}

func (p picked[T]) all() iter.Seq2[int, *T] {
	return func(yield func(int, *T) bool) {
		for i := range p.n {
			if !yield(i, p.get(i)) {
				return
			}
		}
	}
}

// where is those that keep selects.
func (p picked[T]) where(keep func(record *T) bool) picked[T] {
	places := make([]int32, 0, p.n)
	for i, r := range p.all() {
		if keep(r) {
			places = append(places, p.place(i))
		}
	}
	switch n := len(places); {
	case n == p.n:
		return p
	case n < p.n/2: // what is kept for long is no larger than it has to be
		places = slices.Clone(places)
	}
	return at(p.of, places)
}

// ordered is the same, sorted and otherwise in the order in which they were.
func (p picked[T]) ordered(compare func(a, b *T) int) picked[T] {
	sorted := true
	for i := 1; i < p.n && sorted; i++ {
		sorted = compare(p.get(i-1), p.get(i)) <= 0
	}
	if sorted {
		return p
	}
	places := make([]int32, p.n)
	for i := range places {
		places[i] = p.place(i)
	}
	slices.SortStableFunc(places, func(a, b int32) int { return compare(&p.of[a], &p.of[b]) })
	return at(p.of, places)
}

// joined is what several have, of the same records, one after the other.
func joined[T any](lists ...picked[T]) picked[T] {
	var of []T
	n := 0
	for _, l := range lists {
		n += l.n
	}
	places := make([]int32, 0, n)
	for _, l := range lists {
		for i := range l.n {
			places, of = append(places, l.place(i)), l.of
		}
	}
	return at(of, places)
}

type (
	arrivals  = picked[load.Sample]       // requests of the run
	exchanges = picked[evidence.Exchange] // exchanges of a link
)

// due is the arrivals due in [from, to), of some in the order in which they were.
func due(a arrivals, from, to time.Duration) arrivals {
	lo := a.before(func(s *load.Sample) bool { return s.Intended >= from })
	return a.part(lo, a.before(func(s *load.Sample) bool { return s.Intended >= to }))
}
