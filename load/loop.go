//go:build linux

package load

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/load/wire"
)

// loop is an event loop: one thread with its own stripe of the schedule, its
// own connections and its own poller. It shares nothing with other loops.
//
//	sleep until the next is due ◀────────────────────────┐
//	   ▼                                                 │
//	events ──▶ opened │ answered │ closed by the peer    │
//	arrivals due ──▶ idle connection │ dial │ queue      │
//	requests overdue ──▶ TimedOut ───────────────────────┘
type loop struct {
	*program
	shard   int
	clock   clock
	observe Observe
	poller  *poller
	pacer   pacer

	stripe     cursor
	stopStripe func()
	next       arrival       // the arrival that falls due next; its route is not drawn yet
	gap        time.Duration // between it and the one before

	conns      []*conn // by slot
	unused     []*conn
	pools      []pool // by way.addr
	lines      []line // by way.timeout
	unfinished int    // arrivals that are due and not yet observed
	end        time.Duration
	refill     bool    // some pool may have room for a queued arrival
	unread     []token // connections with more to read than a turn allows

	halted  atomic.Bool // set from outside
	halting bool        // and seen

	head wire.Response // scratch
	out  []byte        // the request being sent
	in   []byte        // what was read last
}

const (
	never     = time.Duration(math.MaxInt64)
	readSize  = 64 << 10
	dialBatch = 64 // queued arrivals that one turn dials for, so that it does not starve the rest
)

func newLoop(g *program, shard int, clock clock, observe Observe) (*loop, error) {
	l := &loop{
		program: g, shard: shard, clock: clock, observe: observe,
		pacer: pacer{margin: firstMargin},
		pools: make([]pool, len(g.addrs)),
		lines: make([]line, len(g.timeouts)),
		in:    make([]byte, readSize),
		end:   g.end,
	}
	for i, addr := range g.addrs {
		family, to, err := sockaddr(addr)
		if err != nil {
			return nil, err
		}
		l.pools[i] = pool{family: family, to: to, limit: g.connsOf(shard)}
	}
	for i, d := range g.timeouts {
		l.lines[i].timeout = d
	}
	longest := 0
	for _, w := range g.routes {
		longest = max(longest, w.request.Len())
	}
	l.out = make([]byte, 0, longest)
	var err error
	l.poller, err = newPoller()
	return l, err
}

// close frees what the loop holds; it must not be running.
func (l *loop) close() {
	for _, c := range l.conns {
		if c.state != unused {
			_ = unix.Close(c.fd)
		}
	}
	l.poller.close()
}

// halt makes the loop send nothing more. Any goroutine may call it.
func (l *loop) halt() {
	l.halted.Store(true)
	l.poller.wake()
}

func (l *loop) run() error {
	sharpenTimer()
	l.begin()
	defer func() { l.stopStripe() }()
	for l.next.intended != never || l.unfinished > 0 {
		if err := l.turn(); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) begin() {
	l.stripe, l.stopStripe = stripe(l.schedule, l.shard, l.shards)
	l.next.id = uint64(l.shard) + 1 - uint64(l.shards)
	l.advance()
}

// turn sleeps until there is something to do, and does all of it.
func (l *loop) turn() error {
	events, err := l.wait()
	if err != nil {
		return err
	}
	l.handle(events)
	if l.halted.Load() && !l.halting {
		l.stop()
	}
	l.sendDue()
	l.expire()
	l.dialForQueued()
	return nil
}

// advance makes the stripe's next arrival the one to wait for.
func (l *loop) advance() {
	t, ok := l.stripe.next()
	if !ok {
		l.next.intended = never
		return
	}
	l.gap = t - l.next.intended
	l.next.id += uint64(l.shards)
	l.next.intended = t
}

// sendDue puts all that is due now on its way.
func (l *loop) sendDue() {
	if l.halted.Load() {
		return
	}
	for now := l.clock.now(); l.next.intended <= now; l.advance() {
		a := l.next
		a.route = int32(l.pick.route(a.id))
		l.unfinished++
		p := &l.pools[l.routes[a.route].addr]
		switch {
		case p.idle.last != nil:
			l.request(p.idle.last, a)
		case p.open < p.limit && p.queue.size == 0:
			l.dial(p, a)
		default:
			p.queue.push(a)
			l.refill = l.refill || p.open < p.limit
		}
	}
}

// dialForQueued uses the room that closed connections have left.
func (l *loop) dialForQueued() {
	if !l.refill {
		return
	}
	l.refill = false
	for i := range l.pools {
		p := &l.pools[i]
		for n := 0; p.queue.size > 0 && p.open < p.limit; n++ {
			if n == dialBatch {
				l.refill = true // the rest in the next turn
				break
			}
			l.dial(p, p.queue.pop())
		}
	}
}

// wait sleeps until an arrival, a deadline or the end is due, and returns the
// connections that have become ready.
func (l *loop) wait() ([]unix.EpollEvent, error) {
	now := l.clock.now()
	sleep, paced := never, false
	if first := l.deadline(); first != never {
		sleep = max(0, first-now)
	}
	if l.next.intended == never {
		sleep = min(sleep, max(0, l.end-now))
	} else if s := l.pacer.sleep(now, l.next.intended, l.gap); s < sleep {
		sleep, paced = s, s > 0
	}
	if l.refill || len(l.unread) > 0 {
		sleep, paced = 0, false
	}
	events, elapsed, err := l.poller.wait(sleep)
	if paced && elapsed {
		l.pacer.woke(l.clock.now() - now - sleep)
	}
	return events, err
}

// deadline is when the first request runs out of time.
func (l *loop) deadline() time.Duration {
	first := never
	for i := range l.lines {
		if c := l.lines[i].first; c != nil {
			first = min(first, c.deadline)
		}
	}
	return first
}

// expire gives up what has run out of time.
func (l *loop) expire() {
	now := l.clock.now()
	over := l.next.intended == never && now >= l.end
	if over {
		l.dropQueued(now)
	}
	for i := range l.lines {
		line := &l.lines[i]
		for c := line.first; c != nil && (over || c.deadline <= now); c = line.first {
			l.fail(c, TimedOut, now)
		}
	}
}

// dropQueued gives up all arrivals that wait for a connection.
func (l *loop) dropQueued(now time.Duration) {
	for i := range l.pools {
		for q := &l.pools[i].queue; q.size > 0; {
			l.unsent(q.pop(), now)
		}
	}
}

// stop ends the schedule here: nothing is sent any more.
func (l *loop) stop() {
	l.halting = true
	now := l.clock.now()
	for ; l.next.intended <= now; l.advance() {
		a := l.next
		a.route = int32(l.pick.route(a.id))
		l.unfinished++
		l.unsent(a, now)
	}
	l.next.intended = never
	l.dropQueued(now)
	for _, c := range l.conns {
		if c.state == dialling {
			l.unsent(c.arrival, now)
			l.drop(c)
		}
	}
	l.end = now + l.grace
}

func (l *loop) unsent(a arrival, now time.Duration) {
	l.report(Sample{ID: a.id, Route: int(a.route), Intended: a.intended, Done: now, Outcome: Unsent})
}

// report is the only place where an arrival becomes a sample.
func (l *loop) report(s Sample) {
	l.unfinished--
	l.observe(l.shard, s)
}
