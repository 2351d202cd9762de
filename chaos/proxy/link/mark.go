package link

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Mark is what the toxics with one index leave on exchanges, and counts those.
type Mark struct {
	index           int
	hits, overflows atomic.Uint64
	alone           *touched // what only they have touched; nil if the index has a bit in Exchange.Faults
}

// marks are those of a link, by index. They stay when toxics go.
type marks struct {
	mu   sync.Mutex
	by   map[int]*Mark
	sets atomic.Int64 // how many sets of more than one are kept
}

// Mark is that of the toxics with an index, which must be 0 to MaxIndex.
func (c *Counters) Mark(index int) (*Mark, error) {
	if index < 0 || index > MaxIndex {
		return nil, fmt.Errorf("toxic index %d is not 0 to %d", index, MaxIndex)
	}
	c.marks.mu.Lock()
	defer c.marks.mu.Unlock()
	m := c.marks.by[index]
	if m == nil {
		m = &Mark{index: index}
		if index >= evidence.FaultBits {
			m.alone = touchedBy(evidence.FaultSet{}, index)
		}
		if c.marks.by == nil {
			c.marks.by = map[int]*Mark{}
		}
		c.marks.by[index] = m
	}
	return m, nil
}

func (c *Counters) markOf(index int) *Mark {
	c.marks.mu.Lock()
	defer c.marks.mu.Unlock()
	return c.marks.by[index]
}

// Hit and Overflow are those of Relay.
func (c *Counters) Hit(index int) uint64 {
	if m := c.markOf(index); m != nil {
		return m.hits.Load()
	}
	return 0
}

func (c *Counters) Overflow(index int) uint64 {
	if m := c.markOf(index); m != nil {
		return m.overflows.Load()
	}
	return 0
}

// Overflowed counts an exchange that a toxic let go because of its bound.
func (m *Mark) Overflowed() { m.overflows.Add(1) }

// Touch notes that a toxic with this mark has touched x, and counts it if none had before.
func (c *Counters) Touch(x *Record, m *Mark) {
	if x.HitBy(m.index) {
		return
	}
	m.hits.Add(1)
	if m.alone == nil {
		x.Faults |= 1 << uint(m.index)
		return
	}
	if x.touched == nil {
		x.touched = m.alone
	} else {
		x.touched = x.touched.and(m.index, &c.marks.sets)
	}
	if x.Extra().RetryAfter == 0 {
		x.Extras = &x.touched.extras
		return
	}
	extra := x.Extra() // it has them alone
	extra.Further = &x.touched.faults
	x.Extras = &extra
}

// mostSets bounds what a link keeps of sets of faults, at some 200 bytes each. Past it
// every exchange that is hit by a further fault has a set of its own.
const mostSets = 4096

// touched is a set of faults that exchanges share: what is allocated for one of them
// serves all that the same faults touch in the same order. It is read and added to
// without a lock.
//
//	{64} ──65──▶ {64 65} ──70──▶ {64 65 70}
//	    └──70──▶ {64 70}
type touched struct {
	faults evidence.FaultSet
	extras evidence.Extras // with faults as Further, and nothing else
	steps  atomic.Pointer[step]
}

// touchedBy is the set with one fault more.
func touchedBy(faults evidence.FaultSet, one int) *touched {
	t := &touched{faults: faults}
	t.faults.Add(one)
	t.extras.Further = &t.faults
	return t
}

// step leads to the set that has one fault more.
type step struct {
	fault int
	to    *touched
	next  *step
}

// and is the set with one more fault.
func (t *touched) and(fault int, kept *atomic.Int64) *touched {
	first := t.steps.Load()
	for s := first; s != nil; s = s.next {
		if s.fault == fault {
			return s.to
		}
	}
	to := touchedBy(t.faults, fault)
	if kept.Load() < mostSets && t.steps.CompareAndSwap(first, &step{fault, to, first}) { // if another was first, this one is not shared
		kept.Add(1)
	}
	return to
}
