package tcp

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/load/poll"
)

// loop is an event loop that relays share: one thread that accepts, dials, reads and
// writes for them, and that alone knows their connections.
//
//	control plane ── orders ──────────────▶ ┌─ turn ──────────────────────┐
//	                                        │ take orders                 │
//	sockets ── events ────────────────────▶ │ accept │ dialled │ pump     │
//	clock ── timers ──────────────────────▶ │ review, pump                │
//	                                        └─────────────────────────────┘
type loop struct {
	poller poller
	fast   fastPath
	origin time.Time
	now    time.Duration // since origin, of this turn

	relays    []*Relay   // by place; nil where there is none
	accepting []*Relay   // whose listener has something to do
	sessions  []*session // by slot
	free      []*session
	timers    timers
	again     []unfinished // connections with more to do than a turn allows
	pipes     pipes
	buf       []byte // what was read last
	rng       draw

	asked   atomic.Bool // there are orders
	closing atomic.Bool
	done    chan struct{} // closed when the loop has ended
	err     error         // why, if it was not told to; read after done
	members int           // relays that may give orders; guarded by pool.mu

	mu     sync.Mutex // guards orders only, for moments
	orders []func()
}

// unfinished is a direction that can go on.
type unfinished struct {
	session    *session
	generation int32
	dir        link.Direction
}

const (
	readBuffer = 64 << 10
	pumpBatch  = 4  // buffers that one direction moves before others have their turn
	drainReads = 16 // that a peer which is closed may have sent already
)

func newLoop() (*loop, error) {
	l := &loop{origin: time.Now(), buf: make([]byte, readBuffer), done: make(chan struct{})}
	l.fast.loop = l
	var err error
	if l.poller, err = newPoller(); err != nil {
		return nil, err
	}
	return l, nil
}

// run is the loop.
func (l *loop) run() {
	runtime.LockOSThread() // never unlocked, so that the thread ends with it: its timer slack is changed
	defer close(l.done)
	defer l.pipes.close()
	defer l.fast.close()
	defer l.abandon()
	defer poll.Spare(1)()
	poll.MinimizeTimerSlack()
	for !l.closing.Load() {
		if l.err = l.turn(); l.err != nil {
			return
		}
	}
}

// order has the loop do something between two things that it does, soon. The relay
// that asks must not have left the loop. If the loop ends before, it is not done.
func (l *loop) order(do func()) {
	l.mu.Lock()
	l.orders = append(l.orders, do)
	l.asked.Store(true)
	l.mu.Unlock()
	l.poller.Wake()
}

// call is order, and waits until it is done. It reports whether it was.
func (l *loop) call(do func()) bool {
	done := make(chan struct{})
	l.order(func() {
		do()
		close(done)
	})
	select {
	case <-done:
		return true
	case <-l.done:
	}
	select {
	case <-done: // before the loop ended
		return true
	default:
		return false
	}
}

// takeOrders does what was ordered.
func (l *loop) takeOrders() {
	if !l.asked.Load() {
		return
	}
	l.mu.Lock()
	orders := l.orders
	l.orders = nil
	l.asked.Store(false)
	l.mu.Unlock()
	l.now = time.Since(l.origin)
	for _, do := range orders {
		do()
	}
}

// turn sleeps until there is something to do, and does it.
func (l *loop) turn() error {
	l.fast.cancel()
	timeout := time.Duration(-1)
	at := l.timers.next()
	for _, r := range l.accepting {
		at = min(at, r.listener.due())
	}
	if at != never {
		timeout = max(0, at-time.Since(l.origin))
	}
	if len(l.again) > 0 {
		timeout = 0
	}
	events, err := l.wait(timeout)
	if err != nil {
		return err
	}
	l.now = time.Since(l.origin)
	l.fast.deliver()
	for i := range events {
		// A batch can take milliseconds: the control plane does not wait for its end.
		l.takeOrders()
		switch e := &events[i]; {
		case e.Fd == poll.WakeSlot:
		case e.Fd <= listenerSlot:
			if r := l.relays[listenerSlot-e.Fd]; r != nil { // of one that has left, or has its place: it finds nothing
				r.listener.more = true
				l.listens(r)
			}
		default:
			if p := l.sessions[e.Fd>>1]; p.generation == e.Pad {
				p.event(int(e.Fd&1), e.Events)
			}
		}
	}
	l.takeOrders()
	l.accept()
	l.goOn()
	for p := l.timers.due(l.now); p != nil; p = l.timers.due(l.now) {
		if p.review() {
			p.pumpBoth()
		}
	}
	return nil
}

// wait sleeps until something happens on a connection, timeout at most.
func (l *loop) wait(timeout time.Duration) (events []event, err error) {
	if l.fast.sessions > 0 {
		return l.fast.wait(timeout)
	}
	events, _, err = l.poller.Wait(timeout)
	return events, err
}

// goOn gives those that had more to do one more try each.
func (l *loop) goOn() {
	for n := len(l.again); n > 0; n-- {
		l.takeOrders()
		next := l.again[0]
		l.again = l.again[:copy(l.again, l.again[1:])]
		if next.session.generation == next.generation {
			next.session.directions[next.dir].queued = false
			next.session.pump(next.dir)
		}
	}
}

// adopt gives a relay a place. Its listener is watched from then on.
func (l *loop) adopt(r *Relay) error {
	place := slices.Index(l.relays, nil)
	if place < 0 {
		place = len(l.relays)
		l.relays = append(l.relays, nil)
	}
	if err := l.poller.Add(r.listener.fd, listenerSlot-int32(place), 0); err != nil {
		return err
	}
	l.relays[place] = r
	return nil
}

// listens notes that a relay's listener may have something to do.
func (l *loop) listens(r *Relay) {
	if r.serving && !slices.Contains(l.accepting, r) {
		l.accepting = append(l.accepting, r)
	}
}

// apply puts the toxics that the control plane wants of a relay in force.
func (l *loop) apply(r *Relay, next *connToxics) {
	l.fast.empty(r)
	l.now = time.Since(l.origin)
	for _, a := range r.toxics.list {
		a.seen = next.holds(a)
	}
	r.toxics = next
	var fresh []*activeConn
	for _, a := range next.list {
		if !a.seen {
			a.seen, a.since, a.asked = true, l.now, 0
			a.first = min(a.first, l.now)
			fresh = append(fresh, a)
		}
	}
	r.listener.sync(next, l.now)
	l.listens(r)
	for _, p := range l.sessions {
		if p.relay == r && p.state != sessionUnused {
			p.heal(next.holds)
			p.attach(fresh, false)
			if p.review() {
				p.goOnLater(0)
				p.goOnLater(1)
			}
		}
	}
}

// place returns a session for a new connection of a relay.
func (l *loop) place(r *Relay) *session {
	if n := len(l.free); n > 0 {
		p := l.free[n-1]
		l.free, p.relay = l.free[:n-1], r
		return p
	}
	p := &session{loop: l, slot: int32(len(l.sessions)), relay: r}
	l.sessions = append(l.sessions, p)
	return p
}

// dismiss closes the listener and all connections of a relay, and takes its place.
func (l *loop) dismiss(r *Relay) {
	l.fast.empty(r)
	for _, p := range l.sessions {
		if p.relay == r && p.state != sessionUnused {
			p.close(evidence.Cut, false)
		}
		if p.relay == r && !p.fast { // they are still, if the ring is broken: then the loop ends
			p.relay, p.record = nil, link.Record{} // or they would be kept for as long as the slot is
		}
	}
	r.listener.close()
	if i := slices.Index(l.relays, r); i >= 0 {
		l.relays[i] = nil
	}
	l.accepting = slices.DeleteFunc(l.accepting, func(a *Relay) bool { return a == r })
}

// abandon is the end of all relays that are left: a loop that was told to end has none.
func (l *loop) abandon() {
	for _, r := range l.relays {
		if r != nil {
			l.dismiss(r)
		}
	}
}
