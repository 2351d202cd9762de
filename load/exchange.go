package load

import (
	"time"

	"github.com/stormctl/stormctl/load/wire"
)

// exchange is an arrival on a connection, until its outcome is known. Its
// memory is used again.
type exchange struct {
	arrival
	conn      *conn
	prepared  *preparedRequest
	extracted []string      // for the request, from the response before
	sent      time.Duration // as Sample.Sent
	deadline  time.Duration
	received  int64 // bytes of the response so far
	check     responseCheck
	starved   bool // the host had no descriptor or port left for it
	written   bool // of a codec that sends at the end of the turn: it has been
	stream    stream

	prev, next *exchange // in its timeoutList
}

// seq identifies the request in the run.
func (e *exchange) seq() uint64 { return wire.SeqOf(e.id, e.prepared.step) }

// timeoutList holds the exchanges that have the same timeout, in the order of their
// deadlines: one joins at the end, so no timer is needed, and they are linked
// through themselves, so that to join or to leave costs no memory and no
// search.
type timeoutList struct {
	timeout     time.Duration
	first, last *exchange
}

func (q *timeoutList) push(e *exchange) {
	e.prev, e.next = q.last, nil
	if q.last != nil {
		q.last.next = e
	} else {
		q.first = e
	}
	q.last = e
}

func (q *timeoutList) remove(e *exchange) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.last = e.prev
	}
	e.prev, e.next = nil, nil
}
