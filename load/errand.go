package load

import "time"

// errand is what an arrival is about that does not begin with it: a step on its
// way to another connection, or a request that is sent again.
type errand struct {
	way   *way
	given []string // see exchange
	vain  int      // how often it was sent in vain: see loop.again
}

// way is the request that is to be sent, and given is for it.
func (l *loop) way(a arrival) (w *way, given []string) {
	if a.errand != nil {
		return a.errand.way, a.errand.given
	}
	return &l.routes[a.route], nil
}

// maxVain is how often a request is sent to servers that take nothing at all
// before that is its outcome.
const maxVain = 3

// again ends an exchange that the peer has said it has not processed (RFC 9113
// sections 6.8 and 8.7), and sends its request on another connection: as an
// arrival that has waited in the queue since it was due.
//
// vain tells that nothing else came of it: after maxVain of these the outcome is
// Reset. A connection that takes some requests before it goes away leaves fewer
// for the next, so that needs no bound.
func (l *loop) again(e *exchange, vain bool) {
	a, now := e.arrival, l.clock.now()
	if a.errand == nil {
		a.errand = &errand{way: e.way, given: e.given}
	}
	if vain {
		a.errand.vain++
	}
	if a.errand.vain == maxVain {
		l.finish(e, Reset, 0, now)
		return
	}
	p := e.conn.pool
	l.leave(e)
	l.stats.resends()
	l.elsewhere(p, a, now)
}

// elsewhere puts an arrival into the queue that has left its connection, or
// must not begin there: this turn gives it to another.
func (l *loop) elsewhere(p *pool, a arrival, now time.Duration) {
	if l.halted.Load() {
		l.unsent(a, now)
		return
	}
	p.queue.insert(a)
	l.requeued, l.refill = true, true
}

// sendAgain gives what has come back to the queues to connections that have
// room: until then, none of a pool is ready while arrivals are queued.
func (l *loop) sendAgain() {
	if !l.requeued {
		return
	}
	l.requeued = false
	for i := range l.pools {
		p := &l.pools[i]
		for c := p.pick(); c != nil && p.queue.size > 0; c = p.pick() {
			l.request(c, p.queue.pop(), l.clock.now())
		}
	}
}
