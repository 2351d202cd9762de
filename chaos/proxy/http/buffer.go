package http

import "github.com/stormctl/stormctl/load/wire"

const (
	// maxBuffer bounds what one side of a connection reads ahead, behind what it keeps.
	maxBuffer = 128 << 10
	// maxHeadBuffer is more than a head may be, so that a head never waits for room.
	maxHeadBuffer = 2 * wire.MaxHead
)

// buffer holds bytes between a read and a write: those read are at the end of
// it, those written are taken off its front.
//
//	0 ······ kept ······ from ───────── to ······ len(b)
//	  a head that must     not yet        room for
//	  stay as it is        passed on      the next read
type buffer struct {
	b              []byte
	kept, from, to int
	full           bool
}

// pending is what has been read and not been taken.
func (q *buffer) pending() []byte { return q.b[q.from:q.to] }

func (q *buffer) empty() bool { return q.from == q.to }

// take drops n bytes from the front.
func (q *buffer) take(n int) { q.from += n }

// keep makes the first n pending bytes stay where they are, though taken, until
// release: they may be looked at while more is read behind them.
func (q *buffer) keep(n int) { q.kept = q.from + n }

func (q *buffer) release() { q.kept = 0 }

// room returns where the next read may go; it is empty if the buffer is full.
// What is kept stays valid, also when the buffer grows.
func (q *buffer) room() []byte { return q.roomWithin(q.kept + maxBuffer) }

// headRoom is room for more of a head that is not complete.
func (q *buffer) headRoom() []byte { return q.roomWithin(maxHeadBuffer) }

// roomFor is headRoom or room: the next read may be more of a head, or of a body.
func (q *buffer) roomFor(head bool) []byte {
	if head {
		return q.headRoom()
	}
	return q.room()
}

// roomWithin is room in a buffer that grows as long as it is smaller than most.
func (q *buffer) roomWithin(most int) []byte {
	if q.from >= q.kept {
		if q.empty() {
			q.from, q.to = q.kept, q.kept
		} else if q.to == len(q.b) {
			n := copy(q.b[q.kept:], q.pending())
			q.from, q.to = q.kept, q.kept+n
		}
	}
	if (q.full || q.to == len(q.b)) && len(q.b) < most {
		// The old array is left as it is: slices of kept bytes may point into it.
		grown := make([]byte, 2*len(q.b))
		copy(grown, q.b[:q.to])
		q.b = grown
	}
	q.full = false
	return q.b[q.to:]
}

// filled says that n bytes were read into room. A read that left none of much room
// asks for more the next time: it is part of a stream. One that began far behind, for
// its room was given when something before it was still kept, goes to the front: a
// connection would run out of room one request after the other.
func (q *buffer) filled(n int) {
	q.to += n
	q.full = q.to == len(q.b) && n > len(q.b)/2
	if q.kept == 0 && q.from > len(q.b)/2 {
		q.from, q.to = 0, copy(q.b, q.pending())
	}
}
