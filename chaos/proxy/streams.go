package proxy

import (
	"cmp"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load/poll"
)

// streams is the event loop of a relay of toxic.ProtocolTCP: one thread that accepts,
// dials, reads and writes, and that alone knows the connections.
//
//	control plane ── snapshot of toxics ──▶ ┌─ turn ──────────────────────┐
//	                                        │ toxics have changed? review │
//	sockets ── events ────────────────────▶ │ accept │ dialled │ pump     │
//	clock ── alarms ──────────────────────▶ │ review, pump                │
//	                                        └─────────────────────────────┘
type streams struct {
	relay  *Relay
	poller *poll.Poller
	fast   fastPath
	door   *door
	dialer dialler
	origin time.Time
	now    time.Duration // since origin, of this turn

	toxics *streamToxics // as every connection knows them
	pairs  []*pair       // by slot
	free   []*pair
	last   uint64 // number of the last connection
	alarms alarms
	again  []unfinished // connections with more to do than a turn allows
	pipes  pipes
	buf    []byte // what was read last
	rng    draws

	next     atomic.Pointer[streamToxics] // what the control plane wants
	prepared atomic.Bool                  // Config.Prepare has been called: it may accept
	open     atomic.Int64
	bytes    [2]atomic.Uint64 // by way
	closing  atomic.Bool
	done     chan struct{} // closed when the loop has ended
	err      error         // why, if it was not told to; read after done

	mu      sync.Mutex // guards dialled only, for moments
	dialled []resolved
}

// unfinished is a direction that can go on.
type unfinished struct {
	pair       *pair
	generation int32
	way        int
}

const (
	streamBuffer = 64 << 10
	pumpBatch    = 4 // buffers that one direction moves before others have their turn
)

func newStreams(r *Relay) (*streams, error) {
	l := &streams{relay: r, origin: time.Now(), buf: make([]byte, streamBuffer), done: make(chan struct{})}
	l.fast.loop, l.fast.after = l, cmp.Or(r.config.calm, calmAfter)
	l.toxics = &streamToxics{}
	l.next.Store(l.toxics)
	var err error
	if l.dialer, err = newDialler(r.config.Upstream, r.config.Allow); err != nil {
		return nil, err
	}
	if l.poller, err = poll.New(); err != nil {
		return nil, err
	}
	if l.door, err = openDoor(r.config.Listen); err == nil {
		err = l.poller.Add(l.door.fd, doorSlot, 0)
	}
	if err != nil {
		if l.door != nil {
			l.door.close()
		}
		l.poller.Close()
		return nil, err
	}
	return l, nil
}

// run is the loop.
func (l *streams) run() {
	runtime.LockOSThread() // and die with it: its timer slack is not everybody's
	defer close(l.done)
	defer l.door.close()
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
func (l *streams) turn() error {
	l.fast.cancel()
	timeout := time.Duration(-1)
	if at := min(l.alarms.next(), l.door.retry); at != never {
		timeout = max(0, at-time.Since(l.origin))
	}
	if len(l.again) > 0 || l.door.more {
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
		l.obey()
		switch e := &events[i]; e.Fd {
		case poll.WakeSlot:
		case doorSlot:
			l.door.more = true
		default:
			if p := l.pairs[e.Fd>>1]; p.generation == e.Pad {
				p.event(int(e.Fd&1), e.Events)
			}
		}
	}
	l.obey()
	l.accept()
	l.takeDialled()
	l.goOn()
	for p := l.alarms.ring(l.now); p != nil; p = l.alarms.ring(l.now) {
		if p.review() {
			p.pumpBoth()
		}
	}
	return nil
}

// wait sleeps until something happens on a connection, timeout at most.
func (l *streams) wait(timeout time.Duration) (events []unix.EpollEvent, err error) {
	if l.fast.pairs > 0 {
		return l.fast.wait(timeout)
	}
	events, _, err = l.poller.Wait(timeout)
	return events, err
}

// goOn gives those that had more to do one more try each.
func (l *streams) goOn() {
	for n := len(l.again); n > 0; n-- {
		l.obey()
		next := l.again[0]
		l.again = l.again[:copy(l.again, l.again[1:])]
		if next.pair.generation == next.generation {
			next.pair.flows[next.way].queued = false
			next.pair.pump(next.way)
		}
	}
}

// obey puts the toxics that the control plane wants in force.
func (l *streams) obey() {
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
	var fresh []*activeStream
	for _, a := range next.list {
		if !a.seen {
			a.seen, a.since, a.asked = true, l.now, 0
			a.first = min(a.first, l.now)
			fresh = append(fresh, a)
		}
	}
	l.door.mind(next, l.now)
	for _, p := range l.pairs {
		if p.state != pairUnused {
			p.heal(next.holds)
			p.grip(fresh, false)
			if p.review() {
				p.goOnLater(0)
				p.goOnLater(1)
			}
		}
	}
	close(next.applied)
}

// place returns a pair for a new connection.
func (l *streams) place() *pair {
	if n := len(l.free); n > 0 {
		p := l.free[n-1]
		l.free = l.free[:n-1]
		return p
	}
	p := &pair{loop: l, slot: int32(len(l.pairs))}
	l.pairs = append(l.pairs, p)
	return p
}

// hangUp ends all connections.
func (l *streams) hangUp() {
	l.fast.empty()
	for _, p := range l.pairs {
		if p.state != pairUnused {
			p.close(evidence.Cut, false)
		}
	}
}

// wake makes the loop take a turn. Any goroutine may call it while the relay is
// not closed.
func (l *streams) wake() { l.poller.Wake() }

// closeStreams is Close for a relay of toxic.ProtocolTCP.
func (r *Relay) closeStreams() error {
	l := r.streams
	r.mu.Lock()
	first := !r.closing.Swap(true) // nobody wakes the loop after us: see changeStreams
	r.mu.Unlock()
	if first {
		l.closing.Store(true)
		l.wake()
	}
	<-l.done
	if first {
		r.wg.Wait()
		l.poller.Close()
	}
	if l.err != nil {
		return fmt.Errorf("close link %s: %w", r.config.Name, l.err)
	}
	return nil
}
