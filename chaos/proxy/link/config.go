package link

import (
	"net/netip"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// MaxIndex is the greatest index a toxic may have.
const MaxIndex = evidence.MaxFaults - 1

// Config is what a relay has to know, whatever is spoken.
type Config struct {
	Name     string // of the link; part of what chance depends on
	Listen   string // host:port
	Device   string // network device that callers come by, and no other; "" is any
	Upstream string // host:port of the dependency
	Seed     uint64 // of the experiment
	// Allow is asked about each address before it is dialled.
	Allow func(netip.AddrPort) error
}

// Relay passes the bytes of each caller's connection to a connection of its own to
// the dependency and back, as a wire would, except for what its toxics decide.
type Relay interface {
	// Addr is the host:port that callers dial.
	Addr() string

	// Add puts a toxic in force and returns what takes it out again. Both act at
	// once, on open connections and on exchanges in flight. When Add returns, every
	// exchange in progress has been decided for, and when remove returns nothing is
	// delayed or kept by the toxic any more. No byte is lost or overtakes another.
	// Neither waits for a peer. remove may be called again, and after Close.
	//
	// index is the toxic's in Exchange.HitBy. d is which way's bytes it is
	// about, where there are connections only. An error says that the index is not
	// 0 to MaxIndex, or why the toxic or its direction does not fit what is spoken.
	//
	// Of exchanges in flight it decides in no particular order, which matters to a
	// toxic that counts (Select.First, Select.Every). A fault counts as having hit
	// an exchange if it delayed it or decided its verb, even where a stronger one
	// hid it; what happens to a response or on the way there counts when it happens.
	//
	// What a toxic may still do to an exchange in flight:
	//
	//   - Break and Stall: everything, up to its last byte.
	//   - Delay: before the request has been passed on it waits for that much
	//     longer, behind that the head of its response does; once the response has
	//     begun to reach the caller, nothing.
	//   - Respond: until the response has begun to reach the caller. The connection
	//     to the dependency is closed then.
	//   - Withhold, Late and Drop: until the response has begun to reach the caller.
	//   - What is done to a body: to what is left of it.
	//   - Twice: nothing, once the request has begun to be passed on.
	Add(index int, t toxic.Toxic, d toxic.Direction) (remove func(), err error)

	// Record gives every exchange that begins from now on to observe when it ends,
	// each exactly once; times count from start. Where there are connections only,
	// those that began before are given too, with times below 0. observe is called from many
	// goroutines at once and is on the path of the connection's next exchange: it
	// must not block.
	Record(start time.Time, observe func(evidence.Exchange))

	Hit(index int) uint64      // exchanges that the toxics with this index have touched
	Overflow(index int) uint64 // exchanges that they let go because they had hold of as many as they may (Select.MaxActive)
	InFlight() int             // exchanges in progress
	Peak() int                 // the most of them since it was last asked: for one who asks
	Connections() int          // open connections of callers
	Accepted() uint64          // connections that callers have made so far
	Unsafe() uint64            // callers whose TLS handshake failed
	// Unread is how many connections of callers had an exchange whose bytes could not
	// be read as HTTP/1.1: they passed as they were, and what followed on that
	// connection is in no record of its own. first is what could not be read first.
	Unread() (connections uint64, first string)
	// Failed is closed when the relay cannot go on, as when its event loop failed; why
	// says why, then. It is nil for one that has nothing which fails by itself.
	Failed() (failed <-chan struct{}, why func() error)
	Bytes(d toxic.Direction) uint64    // given to the dependency (Upstream) or to callers (Downstream); Both is their sum
	Received(d toxic.Direction) uint64 // come from callers or from the dependency; they may be under way still, or have been dropped

	// Close closes the listener and all connections, and waits for every goroutine:
	// exchanges in progress have been observed, as evidence.Cut, when it returns. It
	// may be called again.
	Close() error
}
