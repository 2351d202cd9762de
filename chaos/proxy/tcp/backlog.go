package tcp

import (
	"slices"
	"time"
)

// backlog is what one direction has read and not yet written: bytes in the
// order in which they came, in pieces that go on when they are due. The end of
// the direction is a piece without bytes.
type backlog struct {
	bytes  []byte // those before head are gone
	head   int
	pieces []piece // those before first are gone
	first  int
}

// piece is what goes on at one time.
type piece struct {
	n      int
	end    end           // behind the bytes
	by     *activeConn   // the toxic that ends it; nil if the sender does
	at     time.Duration // when it came
	due    time.Duration // when it goes on: after all delays, and never before the piece ahead of it
	delays []delay
}

// delay is what one toxic adds to a piece.
type delay struct {
	by     *activeConn
	amount time.Duration
}

// end is how a direction ends.
type end uint8

const (
	noEnd  end = iota
	endFIN     // the sender has closed its side
	endRST     // the sender has reset the connection
	endCut     // a toxic closes the connection to both sides
)

const (
	keptBytes   = 128 << 10 // what an empty backlog keeps of its memory
	keptPieces  = 1 << 10
	compactPast = 64 << 10 // bytes that are gone
)

func (b *backlog) empty() bool { return b.first == len(b.pieces) }

// size is how many bytes there are.
func (b *backlog) size() int { return len(b.bytes) - b.head }

// last is when the last piece is due.
func (b *backlog) last() time.Duration {
	if b.empty() {
		return 0
	}
	return b.pieces[len(b.pieces)-1].due
}

// push appends a piece and its bytes, which are copied. Its due is not set yet.
func (b *backlog) push(p piece, bytes []byte) {
	b.compact()
	p.n = len(bytes)
	if n := len(b.pieces); n > b.first && len(p.delays) == 0 && p.end == noEnd {
		// What nothing delays is one with what nothing delays before it.
		if tail := &b.pieces[n-1]; len(tail.delays) == 0 && tail.end == noEnd {
			tail.n += p.n
			b.bytes = append(b.bytes, bytes...)
			return
		}
	}
	p.due = max(p.ready(), b.last())
	b.bytes = append(b.bytes, bytes...)
	b.pieces = append(b.pieces, p)
}

// ready is when the piece would go on if nothing were ahead of it. One without
// delays is late already.
func (p *piece) ready() time.Duration {
	if len(p.delays) == 0 {
		return 0
	}
	due := p.at
	for _, d := range p.delays {
		due += d.amount
	}
	return due
}

// front is the first piece with its bytes; there is one.
func (b *backlog) front() (*piece, []byte) {
	p := &b.pieces[b.first]
	return p, b.bytes[b.head : b.head+p.n]
}

// pop removes n bytes of the first piece, and the piece with its last.
func (b *backlog) pop(n int) {
	p := &b.pieces[b.first]
	p.n -= n
	b.head += n
	if p.n > 0 {
		return
	}
	*p = piece{}
	b.first++
	if b.empty() {
		b.drop()
	}
}

// drop forgets everything.
func (b *backlog) drop() {
	clear(b.pieces)
	b.pieces, b.first = b.pieces[:0], 0
	b.bytes, b.head = b.bytes[:0], 0
	if cap(b.bytes) > keptBytes {
		b.bytes = nil
	}
	if cap(b.pieces) > keptPieces {
		b.pieces = nil
	}
}

func (b *backlog) compact() {
	if b.head > compactPast && b.head > len(b.bytes)/2 {
		b.bytes = b.bytes[:copy(b.bytes, b.bytes[b.head:])]
		b.head = 0
	}
	if b.first > 64 && b.first > len(b.pieces)/2 {
		n := copy(b.pieces, b.pieces[b.first:])
		clear(b.pieces[n:])
		b.pieces, b.first = b.pieces[:n], 0
	}
}

// heal takes out what toxics did that are not in force any more: their delays,
// and the ends that were of their making.
func (b *backlog) heal(inForce func(*activeConn) bool) {
	last := time.Duration(0)
	kept := b.pieces[:b.first]
	for _, p := range b.pieces[b.first:] {
		if p.end == endCut && !inForce(p.by) {
			continue
		}
		p.delays = slices.DeleteFunc(p.delays, func(d delay) bool { return !inForce(d.by) })
		p.due = max(p.ready(), last)
		last = p.due
		kept = append(kept, p)
	}
	clear(b.pieces[len(kept):])
	b.pieces = kept
	if b.empty() {
		b.drop()
	}
}
