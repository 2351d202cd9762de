package proxy

import (
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// conn is a caller's connection with its own connection to the dependency.
// Two goroutines serve it:
//
//	          ┌─ caller's side (run) ────────────────┐
//	caller ──▶│ head ─▶ gate ─▶ request ─▶ wait      │──▶ dependency
//	          │ always reading, so that a caller who │
//	          │ leaves is seen at once; answers,     │
//	          │ breaks, waits for delays             │
//	          └──────────────────────────────────────┘
//	          ┌─ dependency's side (upstream.run) ───┐
//	caller ◀──│ gate ◀─ response                     │◀── dependency
//	          └──────────────────────────────────────┘
//
// The fields above mu belong to the caller's side alone.
type conn struct {
	relay  *Relay
	number uint64
	caller transport
	raw    syscall.RawConn // of caller

	phase phase
	in    buffer
	out   int // bytes at the front of in that belong to this request and have been looked at
	req   wire.Request
	twist twist
	hash  uint64 // of the request's body so far
	until time.Time
	seen  uint64 // wakes when the state was last looked at
	armed bool   // caller may have a read deadline
	last  bool   // the connection ends behind this exchange

	headSize int       // of the request
	framing  wire.Body // of the request, before any of it
	twisted  int       // bytes at the front of in that twist has done its work on

	opaque  bool      // what the caller sends is not HTTP/1.1 any more, and passed on as it is
	lost    bool      // the dependency takes no more: what is left of the request goes nowhere
	half    bool      // the caller has closed its side of a tunnel
	drainBy time.Time // when draining ends

	head  toxic.Head // of the exchange in progress; read by review too, under mu
	draw  draw       // guarded by mu
	rng   *rand.Rand
	wakes atomic.Uint64
	nudge chan struct{}

	// final is held while the last bytes of a response are given to the
	// caller. The exchange has ended by then, so that the caller, who has
	// them, can begin the next; only an answer of ours must not overtake
	// them. It is taken before mu.
	final sync.Mutex

	mu     sync.Mutex
	x      exchange
	up     *upstream // nil until the first request is passed on, and once it is given up
	sent   bool      // the request in progress, or just ended, has been read whole
	ending ending    // no request follows the one in progress, or just ended
	closed bool
}

// phase is what the caller's side is about.
type phase uint8

const (
	reading    phase = iota // a request's head
	gated                   // the head is there: delayed, held, or waiting for the dial
	passing                 // the request goes to the dependency
	awaiting                // the end of the response
	discarding              // reading the request that a fault answers
	tunneling               // passing bytes until the end
	draining                // answered for the last time: reading until the caller has closed
)

// ending is how a fault ends a connection.
type ending uint8

const (
	goesOn  ending = iota
	toClose        // our side is closed; what still comes is read until the caller has closed
	toReset        // it is about to be reset
)

func newConn(r *Relay, number uint64, caller transport) *conn {
	c := &conn{relay: r, number: number, caller: caller, nudge: make(chan struct{}, 1)}
	c.raw, _ = caller.SyscallConn() // fails only on a nil connection
	c.in.b = make([]byte, 4<<10)
	c.rng = rand.New(&c.draw)
	c.head.Conn = number
	c.head.Header = func(name string) ([]byte, bool) { return c.req.Fields.Get(name) }
	return c
}

// begin opens the exchange whose request head is in c.req, and lets the toxics
// in force decide for it. What has no head is a tunnel without method and path.
func (c *conn) begin(head bool) {
	r := c.relay
	x := evidence.Exchange{Conn: c.number}
	if !head {
		c.head.Method, c.head.Path = nil, nil
		c.req = wire.Request{Fields: c.req.Fields[:0]}
	} else {
		c.head.Method, c.head.Path = c.req.Method, c.req.Path()
		x.Method, x.Path = r.names.of(c.head.Method), r.names.of(c.head.Path)
		x.ID = r.requestID(c.req.Fields.Get)
		if key, ok := c.req.Fields.Get("Idempotency-Key"); ok {
			x.Key = hashBytes(key)
		}
	}
	recorder := r.recorder.Load()

	c.mu.Lock()
	defer c.mu.Unlock()
	x.InFlight = int(r.inFlight.Add(1))
	x.Seq = r.seq.Add(1)
	if recorder != nil {
		x.Begin = time.Since(recorder.start)
	}
	c.sent = head && c.req.Body.Done()
	if c.sent {
		x.Payload = c.payload()
	}
	c.x = exchange{
		Exchange: x, recorder: recorder, open: true, tunnel: !head,
		toHEAD: x.Method == "HEAD", toCONNECT: x.Method == "CONNECT",
		decided: c.x.decided[:0],
	}
	if toxics := *r.toxics.Load(); len(toxics) > 0 {
		c.x.since = time.Now()
		c.decide(toxics)
	}
}

// requestID is the number of the arrival that caused the request, 0 if it
// carries none of this run.
func (r *Relay) requestID(header func(name string) (value []byte, ok bool)) uint64 {
	for _, name := range [...]string{r.config.IDHeader, "traceparent"} {
		if value, ok := header(name); ok {
			if id, ok := wire.ParseID(value, r.config.Run); ok {
				return id
			}
		}
	}
	return 0
}

// decide lets those toxics decide that have not yet. c.mu is held.
func (c *conn) decide(toxics []*active) {
	for _, a := range toxics {
		if c.x.knows(a) {
			continue
		}
		c.draw.about(a, c.x.ID, c.x.Seq)
		if c.x.add(a, a.decide(&c.head, c.rng), time.Now()) {
			c.relay.overflows[a.index].Add(1)
		}
	}
	c.struck(toxic.Fate.AtOnce)
}

// struck notes that those toxics have touched the exchange whose fates are
// such, and counts it for them. c.mu is held.
func (c *conn) struck(such func(toxic.Fate) bool) {
	for by := c.x.struck(such); by != 0; by &= by - 1 {
		c.relay.hits[bits.TrailingZeros64(by)].Add(1)
	}
}

// review brings the exchange in progress into line with the toxics in force.
func (c *conn) review(toxics []*active) {
	c.mu.Lock()
	if !c.x.open {
		c.mu.Unlock()
		return
	}
	c.x.drop(toxics)
	c.decide(toxics)
	c.mu.Unlock()
	c.wake()
}

// writeBack writes to the caller, and counts.
func (c *conn) writeBack(b []byte) (n int, err error) {
	n, err = c.caller.Write(b)
	c.relay.passed[toCaller].Add(uint64(n))
	return n, err
}

// wake makes both sides look at the state again, whatever they wait for. The
// state is changed before.
func (c *conn) wake() {
	c.wakeCaller()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up != nil {
		c.up.signal()
	}
}

// wakeCaller makes the caller's side look at the state again.
func (c *conn) wakeCaller() {
	c.wakes.Add(1)
	_ = c.caller.SetReadDeadline(longAgo) // fails only if it is closed, which wakes too
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}

var longAgo = time.Unix(1, 0)

// ended is an exchange that nobody has been told about yet.
type ended struct {
	evidence.Exchange
	recorder *recorder
	waiting  bool
	breaks   bool // the connection is to be reset behind it
}

// finish ends the exchange in progress, if there is one: it is not in flight
// any more, and the caller's side may begin the next. c.mu is held. The result
// is given to tell when the bytes that end it are written.
func (c *conn) finish(how evidence.Ending) (e ended, ok bool) {
	x := &c.x
	if !x.open {
		return e, false
	}
	breaks := x.fate.BreaksAfter() && (how == evidence.Answered || how == evidence.Injected)
	if breaks {
		c.struck(toxic.Fate.BreaksAfter)
		c.ending = toReset
	}
	x.open = false
	x.letGo()
	c.relay.inFlight.Add(-1)
	if c.relay.closing.Load() && (how == evidence.CallerGone || how == evidence.Failed) {
		how = evidence.Cut
	}
	x.Ending = how
	if x.recorder != nil {
		x.End = time.Since(x.recorder.start)
	}
	return ended{x.Exchange, x.recorder, x.waiting, breaks}, true
}

// unwritten corrects what was finished, because the bytes that end it could not
// be written.
func (e *ended) unwritten(r *Relay) {
	e.Ending = evidence.CallerGone
	if r.closing.Load() {
		e.Ending = evidence.Cut
	}
}

func (e *ended) tell() {
	if e.recorder != nil {
		e.recorder.observe(e.Exchange)
	}
}

// cut ends everything, because the relay is closed.
func (c *conn) cut() {
	c.end(evidence.Cut)
	c.shut(false)
}

// end ends the exchange in progress, if there is one, without another byte.
func (c *conn) end(how evidence.Ending) {
	c.mu.Lock()
	e, ok := c.finish(how)
	c.mu.Unlock()
	if ok {
		e.tell()
	}
}

// breakOff resets the caller's connection, as a fault wants it.
func (c *conn) breakOff() {
	// The last bytes of the response before are not part of what breaks.
	c.final.Lock()
	defer c.final.Unlock()
	c.end(evidence.Broken)
	c.shut(true)
}

func (c *conn) delivered() { c.relay.delivered(c.raw) }

// delivered waits until the caller's side of the network has all that was
// written, for a while at most: a reset drops what it has not.
func (r *Relay) delivered(raw syscall.RawConn) {
	until := time.NewTimer(linger)
	defer until.Stop()
	for unsent(raw) && !hungUp(raw) {
		select {
		case <-time.After(time.Millisecond):
		case <-until.C:
			return
		case <-r.ctx.Done():
			return
		}
	}
}

// shut closes both connections, hard by a RST. What is in progress has to be
// ended before: the first to see the connection closed would tell it
// otherwise.
func (c *conn) shut(hard bool) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	if hard {
		reset(c.caller)
	} else {
		_ = c.caller.Close()
	}
	c.giveUp(hard)
	c.mu.Unlock()
	c.wakeCaller()
}

// giveUp closes the connection to the dependency, if there is one. c.mu is held.
func (c *conn) giveUp(hard bool) {
	if c.up != nil {
		c.up.close(hard)
		c.up = nil
	}
}
