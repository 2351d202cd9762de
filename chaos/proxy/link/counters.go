package link

import (
	"io"
	"sync/atomic"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// Direction is one of the two that bytes go in. It indexes what is kept for each.
type Direction int

const (
	ToDependency Direction = iota
	ToCaller
	Directions // how many there are
)

// Counters is what a relay counts. All may be read and counted at any time.
type Counters struct {
	recorder         atomic.Pointer[recorder] // nil until Record
	early            early                    // connections from before that
	seq              atomic.Uint64
	inFlight, peak   atomic.Int64
	accepted         atomic.Uint64
	unsafe           atomic.Uint64
	unread           atomic.Uint64
	firstUnread      atomic.Pointer[string] // why the first of them was
	passed, received [2]atomic.Uint64       // bytes, by Direction
	marks            marks
}

// InFlight, Accepted, Unsafe, Unread, Bytes and Received are those of Relay.
func (c *Counters) InFlight() int    { return int(c.inFlight.Load()) }
func (c *Counters) Accepted() uint64 { return c.accepted.Load() }
func (c *Counters) Unsafe() uint64   { return c.unsafe.Load() }
func (c *Counters) Unread() (connections uint64, first string) {
	if why := c.firstUnread.Load(); why != nil {
		first = *why
	}
	return c.unread.Load(), first
}
func (c *Counters) Bytes(d toxic.Direction) uint64    { return bytesOf(&c.passed, d) }
func (c *Counters) Received(d toxic.Direction) uint64 { return bytesOf(&c.received, d) }

// Peak is that of Relay.
func (c *Counters) Peak() int {
	now := c.inFlight.Load()
	return int(max(now, c.peak.Swap(now)))
}

// Began is how many exchanges have begun so far.
func (c *Counters) Began() uint64 { return c.seq.Load() }

// Accept counts a caller's connection.
func (c *Counters) Accept() { c.accepted.Add(1) }

// Refuse counts a caller whose TLS handshake failed.
func (c *Counters) Refuse() { c.unsafe.Add(1) }

// CountUnread counts a connection of which what follows cannot be read; why says
// what could not, and counts if it is the first.
func (c *Counters) CountUnread(why string) {
	c.firstUnread.CompareAndSwap(nil, &why)
	c.unread.Add(1)
}

// Passed counts n bytes that were given away; a negative n takes them back.
func (c *Counters) Passed(d Direction, n int) { c.passed[d].Add(uint64(n)) }

// Got counts n bytes that were read.
func (c *Counters) Got(d Direction, n int) { c.received[d].Add(uint64(n)) }

// Reading is from, with its bytes counted as they are read.
func (c *Counters) Reading(from io.Reader, d Direction) io.Reader {
	return reading{from, &c.received[d]}
}

type reading struct {
	io.Reader
	count *atomic.Uint64
}

func (r reading) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.count.Add(uint64(n))
	return n, err
}

func bytesOf(by *[2]atomic.Uint64, d toxic.Direction) uint64 {
	up, down := by[ToDependency].Load(), by[ToCaller].Load()
	switch d {
	case toxic.Upstream:
		return up
	case toxic.Downstream:
		return down
	default:
		return up + down
	}
}
