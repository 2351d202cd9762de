package load

import "time"

// arrival is a request that is due, on its way to a connection.
type arrival struct {
	id       uint64
	intended time.Duration
	late     time.Duration // see Sample
	route    int32
}

// queue holds arrivals for which no connection is free, first in first out.
// It grows with the system's stall and gives the memory back afterwards.
type queue struct {
	ring []arrival // its length is 0 or a power of two
	head int
	size int
}

// keepRing is the largest ring that an empty queue keeps (32 B each).
const keepRing = 1 << 12

func (q *queue) push(a arrival) {
	if q.size == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.size)&(len(q.ring)-1)] = a
	q.size++
}

// pop must not be called on an empty queue.
func (q *queue) pop() arrival {
	a := q.ring[q.head]
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.size--
	if q.size == 0 && len(q.ring) > keepRing {
		*q = queue{}
	}
	return a
}

func (q *queue) grow() {
	ring := make([]arrival, max(64, 2*len(q.ring)))
	n := copy(ring, q.ring[q.head:])
	copy(ring[n:], q.ring[:q.head])
	q.ring, q.head = ring, 0
}
