package evidence

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stormctl/stormctl/load/wire"
)

// places finds where the records of an id are. It takes four bytes a record and
// four for each id in the range of those there are, which is hardly more ids
// than there are: arrivals are numbered one by one, and each step of a chain
// counts them anew in the upper bits (wire.SeqOf). So a step is a part of its
// own, addressed by the arrival's number:
//
//	parts     step 0: arrivals 1–4           step 1: arrivals 2–3
//	from      0      1      2      4         5      6      7        where in at they begin
//	at        3      0      1  6   2         4      5               where the records are
//
// A part with far more numbers than records, as ids that are no arrivals
// would make it, lists its ids instead and is searched.
type places struct {
	parts []stepPart // by step
	from  []int32    // the records of slot i are at[from[i]:from[i+1]]
	at    []int32
}

// stepPart is the slots of one step.
type stepPart struct {
	step  uint64
	first uint64   // arrival of the first slot
	last  uint64   // and of the last
	slot  int      // of first, in from
	ids   []uint64 // the arrival of each slot, in order, if not every one has a slot; otherwise nil
	count int
}

// A part lists its arrivals if it has more than sparse of them for each
// record, and more than few.
const (
	sparse = 4
	few    = 1024
)

// placesOf finds the places of n records by their ids; those with id 0 have none.
func placesOf(n int, id func(i int) uint64) *places {
	p := &places{}
	p.measure(n, id)
	slots := p.number(n, id)
	p.from = make([]int32, slots+1)
	total := int32(0)
	for i := range n {
		if slot, ok := p.slot(id(i)); ok {
			p.from[slot]++
			total++
		}
	}
	end := int32(0)
	for slot := range p.from { // from here on where they end, and from back to front where they begin
		end += p.from[slot]
		p.from[slot] = end
	}
	p.at = make([]int32, total)
	for i := n - 1; i >= 0; i-- {
		if slot, ok := p.slot(id(i)); ok {
			p.from[slot]--
			p.at[p.from[slot]] = int32(i)
		}
	}
	return p
}

// measure finds the parts and what they reach over.
func (p *places) measure(n int, id func(int) uint64) {
	last := -1 // the part of the record before: mostly that of the next
	for i := range n {
		v := id(i)
		if v == 0 {
			continue
		}
		arrival := wire.ArrivalOf(v)
		step := v - arrival
		if last < 0 || p.parts[last].step != step {
			at, found := slices.BinarySearchFunc(p.parts, step, partOf)
			if !found {
				p.parts = slices.Insert(p.parts, at, stepPart{step: step, first: arrival, last: arrival})
			}
			last = at
		}
		c := &p.parts[last]
		c.first, c.last = min(c.first, arrival), max(c.last, arrival)
		c.count++
	}
}

func partOf(c stepPart, step uint64) int {
	switch {
	case c.step < step:
		return -1
	case c.step > step:
		return 1
	}
	return 0
}

// number gives each part its slots and returns how many there are.
func (p *places) number(n int, id func(int) uint64) (slots int) {
	for k := range p.parts {
		c := &p.parts[k]
		c.slot = slots
		if reach := c.last - c.first + 1; reach <= few || reach <= sparse*uint64(c.count) {
			slots += int(reach)
			continue
		}
		c.ids = make([]uint64, 0, c.count)
		for i := range n {
			if v := id(i); v != 0 && v-wire.ArrivalOf(v) == c.step {
				c.ids = append(c.ids, wire.ArrivalOf(v))
			}
		}
		slices.Sort(c.ids)
		c.ids = slices.Compact(c.ids)
		slots += len(c.ids)
	}
	return slots
}

// slot is where in from an id is.
func (p *places) slot(id uint64) (int, bool) {
	if id == 0 {
		return 0, false
	}
	arrival := wire.ArrivalOf(id)
	step := id - arrival
	k := 0
	if len(p.parts) == 0 || p.parts[0].step != step {
		at, found := slices.BinarySearchFunc(p.parts, step, partOf)
		if !found {
			return 0, false
		}
		k = at
	}
	c := &p.parts[k]
	if arrival < c.first || arrival > c.last {
		return 0, false
	}
	if c.ids == nil {
		return c.slot + int(arrival-c.first), true
	}
	at, found := slices.BinarySearch(c.ids, arrival)
	return c.slot + at, found
}

// of lists where the records of an id are, in order; nil if there are none.
func (p *places) of(id uint64) []int32 {
	slot, ok := p.slot(id)
	if !ok || p.from[slot] == p.from[slot+1] {
		return nil
	}
	return p.at[p.from[slot]:p.from[slot+1]:p.from[slot+1]]
}

// kept is the places of the records of a slice, found when they are first asked
// for. It notices when it is asked for those of another slice, or of more or
// fewer records of the same; not when records are changed in place.
type kept[T any] struct {
	mu    sync.Mutex // locked while they are found: a second caller waits and gets the same
	found atomic.Pointer[found[T]]
}

type found[T any] struct {
	first  *T
	n      int
	places *places
}

func (f *found[T]) of(records []T) bool {
	return f != nil && f.n == len(records) && (f.n == 0 || f.first == &records[0])
}

func (k *kept[T]) places(records []T, id func(*T) uint64) *places {
	if f := k.found.Load(); f.of(records) {
		return f.places
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.found.Load(); f.of(records) {
		return f.places
	}
	f := &found[T]{n: len(records), places: placesOf(len(records), func(i int) uint64 { return id(&records[i]) })}
	if f.n > 0 {
		f.first = &records[0]
	}
	k.found.Store(f)
	return f.places
}
