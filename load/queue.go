package load

import "time"

// arrival is a request that is due, on its way to a connection.
type arrival struct {
	id       uint64
	intended time.Duration
	late     time.Duration // see Sample
	route    int32
	resend   *resend // nil for its route's own request that was not sent before
}

// queue holds arrivals for which no connection is free, first in first out.
// It grows with the system's stall and gives the memory back afterwards.
type queue struct {
	ring []arrival // its length is 0 or a power of two
	head int
	size int
}

// keepRing is the largest ring that an empty queue keeps (40 B each).
const keepRing = 1 << 12

func (q *queue) push(a arrival) {
	if q.size == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.size)&(len(q.ring)-1)] = a
	q.size++
}

// insert puts an arrival before those that were due later. It is meant for one
// that has waited already: the longer the others in front of it, the more it costs.
func (q *queue) insert(a arrival) {
	if q.size == len(q.ring) {
		q.grow()
	}
	mask := len(q.ring) - 1
	q.head = (q.head - 1) & mask
	q.size++
	at := q.head
	for range q.size - 1 {
		next := (at + 1) & mask
		if q.ring[next].intended >= a.intended {
			break
		}
		q.ring[at] = q.ring[next]
		at = next
	}
	q.ring[at] = a
}

// pop must not be called on an empty queue.
func (q *queue) pop() arrival {
	a := q.ring[q.head]
	q.ring[q.head].resend = nil
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
