package load

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/poll"
	"github.com/stormctl/stormctl/load/wire"
)

// loop is an event loop: one thread with its own part of the load, its own
// connections and its own transport. It shares nothing with other loops.
//
//	sleep until the next is due ◀────────────────────────┐
//	   ▼                                                 │
//	transport ──▶ opened │ received │ ended │ broken     │
//	arrivals due ──▶ connection with room │ dial │ queue │
//	requests overdue ──▶ TimedOut                        │
//	what is pending ──▶ transport ───────────────────────┘
type loop struct {
	*program
	shard   int
	clock   clock
	observe Observe
	net     transport
	pacer   pacer
	stats   *loopStats

	stripe     arrivals.Cursor
	stopStripe func()
	next       arrival       // the arrival that falls due next; its route is not drawn yet
	gap        time.Duration // between it and the one before
	closed     *closedLoop   // the closed model, in the place of the stripe; nil for the open model

	conns        []*conn // by slot
	dirty        []*conn // those with something pending
	unused       []*conn
	spare        []*exchange
	handshakes   handshakes
	pools        []pool        // by preparedRequest.endpoint
	timeoutLists []timeoutList // by preparedRequest.timeout
	unfinished   int           // arrivals that are due and not yet observed
	end          time.Duration
	refill       bool // some pool may have room for a queued arrival
	requeued     bool // an arrival has come back to a queue, though some connection may have room
	nextDial     time.Duration

	rxTime        int64            // see setRxTime
	turns         [2]time.Duration // when this turn and the one before began to wait
	coalesceAfter time.Duration    // until then each response is read as it comes, see noTimestamp
	partial       bool             // the last turn has read a part of a response

	halted  atomic.Bool // set from outside
	halting bool        // and seen

	head wire.Response // scratch
	out  []byte        // the request being sent
}

const never = time.Duration(math.MaxInt64)

func newLoop(g *program, shard int, clock clock, observe Observe) (*loop, error) {
	l := &loop{
		program: g, shard: shard, clock: clock, observe: observe,
		pacer:        pacer{margin: firstMargin},
		stats:        g.Stats.loop(shard),
		closed:       g.Closed.loopOf(shard, g.shards),
		pools:        make([]pool, len(g.endpoints)),
		timeoutLists: make([]timeoutList, len(g.timeouts)),
		end:          g.end,
	}
	for i, e := range g.endpoints {
		l.pools[i] = pool{endpoint: e, addresses: e.each(), dialled: shard, index: i, limit: g.connsOf(shard), maxQueue: g.queueOf(shard)}
	}
	for i, d := range g.timeouts {
		l.timeoutLists[i].timeout = d
	}
	longest := 0
	for _, w := range g.routes {
		if w.template != nil {
			longest = max(longest, w.template.Len())
		}
	}
	l.out = make([]byte, 0, longest)
	var err error
	l.net, err = g.transport(l)
	return l, err
}

// close frees what the loop holds; it must not be running.
func (l *loop) close() {
	l.hangUp()
	l.net.stop()
}

// hangUp closes all connections.
func (l *loop) hangUp() {
	for _, c := range l.conns {
		if c.state != unused {
			l.disconnect(c)
			c.state = unused
			c.generation++
		}
	}
	l.handshakes.running.Wait() // they are cancelled
	l.finishHandshakes()
}

// halt makes the loop send nothing more. Any goroutine may call it.
func (l *loop) halt() {
	l.halted.Store(true)
	l.net.wake()
}

func (l *loop) run() error {
	poll.MinimizeTimerSlack()
	l.stats.runs()
	defer l.stats.ends()
	l.start()
	defer func() { l.stopStripe() }()
	defer l.hangUp() // by the thread that the transport knows
	for l.unfinished > 0 || l.next.intended != never || l.nextMissing() != never {
		if err := l.turn(); err != nil {
			return err
		}
	}
	return nil
}

// start makes the loop ready for its first turn.
func (l *loop) start() {
	l.next.id = uint64(l.Stripes.First+l.shard) + 1 - uint64(l.of())
	if l.closed != nil {
		l.next.intended, l.stopStripe = never, func() {}
		return
	}
	l.stripe, l.stopStripe = arrivals.Stripe(l.Schedule, l.Stripes.First+l.shard, l.of())
	l.advance()
}

// turn sleeps until there is something to do, and does all of it.
func (l *loop) turn() error {
	if err := l.wait(); err != nil {
		return err
	}
	if l.Until != nil {
		l.lapsed(l.clock.now())
	}
	if l.halted.Load() && !l.halting {
		l.stop()
	}
	l.sendRequeued()
	l.sendDue()
	l.expire()
	l.dialForQueued()
	l.dialMissing()
	l.flush()
	return nil
}

// advance makes the stripe's next arrival the one to wait for.
func (l *loop) advance() {
	t, ok := l.stripe.Next()
	if !ok {
		l.next.intended = never
		return
	}
	l.gap = t - l.next.intended
	l.next.id += uint64(l.of())
	l.next.intended = t
}

// sendDue puts all that is due now on its way.
func (l *loop) sendDue() {
	if l.halted.Load() {
		return
	}
	if l.next.intended == never {
		return
	}
	for now := l.clock.now(); l.next.intended <= now && !l.lapsed(now); now = l.clock.now() {
		a := l.next
		a.route, a.late = int32(l.pick.route(a.id)), now-a.intended
		l.unfinished++
		l.advance()
		l.send(a, now)
	}
}

// wait sleeps until an arrival, a deadline or the end is due, and takes what
// has happened on the connections.
func (l *loop) wait() error {
	now := l.clock.now()
	sleep, paced := never, false
	if first := min(l.deadline(), l.nextMissing()); first != never {
		sleep = max(0, first-now)
	}
	if l.next.intended == never {
		sleep = min(sleep, max(0, l.end-now))
	} else if s := l.pacer.sleep(now, l.due(), l.gap); s < sleep {
		sleep, paced = s, s > 0
	}
	if l.refill {
		if s := max(0, l.nextDial-now); s < sleep {
			sleep, paced = s, false
		}
	}
	l.turns = [2]time.Duration{now, l.turns[0]}
	elapsed, err := l.net.wait(sleep)
	l.partial = false
	if paced && elapsed {
		l.pacer.woke(l.clock.now() - now - sleep)
	}
	l.net.deliver()
	l.finishHandshakes()
	return err
}

// due is when the loop wakes up for the next arrival.
func (l *loop) due() time.Duration {
	batch := l.Batch
	if batch <= 0 && l.gap < batchingGap && l.batching(l.next.intended) {
		batch = batchingEvery
	}
	if batch <= 0 || l.next.intended <= 0 {
		return l.next.intended
	}
	return (l.next.intended + batch - 1) / batch * batch
}

// deadline is when the first request runs out of time.
func (l *loop) deadline() time.Duration {
	first := never
	for i := range l.timeoutLists {
		if e := l.timeoutLists[i].first; e != nil {
			first = min(first, e.deadline)
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
	for i := range l.timeoutLists {
		list := &l.timeoutLists[i]
		for e := list.first; e != nil && (over || e.deadline <= now); e = list.first {
			if c := e.conn; c.state == dialling {
				l.lose(c, TimedOut)
			} else {
				c.codec.cancel(l, e)
			}
		}
	}
}

// dropQueued gives up all arrivals that wait for a connection.
func (l *loop) dropQueued(now time.Duration) {
	for i := range l.pools {
		for q := &l.pools[i].queue; q.size > 0; {
			l.unsent(q.pop(), now, false)
		}
	}
}

// stop ends the schedule here: nothing is sent any more.
func (l *loop) stop() {
	l.halting = true
	now := l.clock.now()
	if l.closed != nil {
		l.closed.left = 0
	}
	for ; l.next.intended <= now; l.advance() {
		a := l.next
		a.route = int32(l.pick.route(a.id))
		l.unfinished++
		l.unsent(a, now, false)
	}
	l.next.intended = never
	l.dropQueued(now)
	for _, c := range l.conns {
		if c.state == dialling {
			l.lose(c, Unsent)
		}
	}
	l.end = now + l.grace
}
