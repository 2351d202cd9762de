package tcp

import (
	"cmp"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/load/poll"
)

// loop is the event loop of a relay of connections: one thread that accepts,
// dials, reads and writes, and that alone knows the connections.
//
//	control plane ── snapshot of toxics ──▶ ┌─ turn ──────────────────────┐
//	                                        │ toxics have changed? review │
//	sockets ── events ────────────────────▶ │ accept │ dialled │ pump     │
//	clock ── timers ──────────────────────▶ │ review, pump                │
//	                                        └─────────────────────────────┘
type loop struct {
	relay    *Relay
	poller   poller
	fast     fastPath
	listener *listener
	dialer   asyncDialer
	origin   time.Time
	now      time.Duration // since origin, of this turn

	toxics   *connToxics // as every connection knows them
	sessions []*session  // by slot
	free     []*session
	last     uint64 // number of the last connection
	timers   timers
	again    []unfinished // connections with more to do than a turn allows
	pipes    pipes
	buf      []byte // what was read last
	rng      draw

	next     atomic.Pointer[connToxics] // what the control plane wants
	prepared atomic.Bool                // Relay.Serve has been called: it may accept
	open     atomic.Int64
	closing  atomic.Bool
	done     chan struct{} // closed when the loop has ended
	err      error         // why, if it was not told to; read after done

	mu      sync.Mutex // guards dialled only, for moments
	dialled []resolved
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

func newLoop(r *Relay) (*loop, error) {
	l := &loop{relay: r, origin: time.Now(), buf: make([]byte, readBuffer), done: make(chan struct{})}
	l.fast.loop, l.fast.after = l, cmp.Or(r.config.promoteAfter, promoteAfter)
	l.toxics = &connToxics{}
	l.next.Store(l.toxics)
	var err error
	if l.dialer, err = newAsyncDialer(r.config.Upstream, r.config.Allow); err != nil {
		return nil, err
	}
	if l.poller, err = newPoller(); err != nil {
		return nil, err
	}
	if l.listener, err = openListener(l.poller, r.config.Listen); err == nil {
		err = l.poller.Add(l.listener.fd, listenerSlot, 0)
	}
	if err != nil {
		if l.listener != nil {
			l.listener.close()
		}
		l.poller.Close()
		return nil, err
	}
	return l, nil
}

// run is the loop.
func (l *loop) run() {
	runtime.LockOSThread() // never unlocked, so that the thread ends with it: its timer slack is changed
	defer close(l.done)
	defer l.listener.close()
	defer l.pipes.close()
	defer l.dialer.wait()
	defer l.fast.close()
	defer l.hangUp()
	defer poll.Spare(1)()
	poll.SharpenTimer()
	for !l.closing.Load() {
		if l.err = l.turn(); l.err != nil {
			return
		}
	}
}

// turn sleeps until there is something to do, and does it.
func (l *loop) turn() error {
	l.fast.cancel()
	timeout := time.Duration(-1)
	if at := min(l.timers.next(), l.listener.retry); at != never {
		timeout = max(0, at-time.Since(l.origin))
	}
	if len(l.again) > 0 || l.listener.more {
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
		l.applyToxics()
		switch e := &events[i]; e.Fd {
		case poll.WakeSlot:
		case listenerSlot:
			l.listener.more = true
		default:
			if p := l.sessions[e.Fd>>1]; p.generation == e.Pad {
				p.event(int(e.Fd&1), e.Events)
			}
		}
	}
	l.applyToxics()
	l.accept()
	l.takeDialled()
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
		l.applyToxics()
		next := l.again[0]
		l.again = l.again[:copy(l.again, l.again[1:])]
		if next.session.generation == next.generation {
			next.session.directions[next.dir].queued = false
			next.session.pump(next.dir)
		}
	}
}

// applyToxics puts the toxics that the control plane wants in force.
func (l *loop) applyToxics() {
	next := l.next.Load()
	if next == l.toxics {
		return
	}
	l.fast.empty()
	l.now = time.Since(l.origin)
	for _, a := range l.toxics.list {
		a.seen = next.holds(a)
	}
	l.toxics = next
	var fresh []*activeConn
	for _, a := range next.list {
		if !a.seen {
			a.seen, a.since, a.asked = true, l.now, 0
			a.first = min(a.first, l.now)
			fresh = append(fresh, a)
		}
	}
	l.listener.sync(next, l.now)
	for _, p := range l.sessions {
		if p.state != sessionUnused {
			p.heal(next.holds)
			p.attach(fresh, false)
			if p.review() {
				p.goOnLater(0)
				p.goOnLater(1)
			}
		}
	}
	close(next.applied)
}

// place returns a session for a new connection.
func (l *loop) place() *session {
	if n := len(l.free); n > 0 {
		p := l.free[n-1]
		l.free = l.free[:n-1]
		return p
	}
	p := &session{loop: l, slot: int32(len(l.sessions))}
	l.sessions = append(l.sessions, p)
	return p
}

// hangUp ends all connections.
func (l *loop) hangUp() {
	l.fast.empty()
	for _, p := range l.sessions {
		if p.state != sessionUnused {
			p.close(evidence.Cut, false)
		}
	}
}

// wake makes the loop take a turn. Any goroutine may call it while the relay is
// not closed.
func (l *loop) wake() { l.poller.Wake() }
