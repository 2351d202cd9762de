package load

import "time"

// resend is what an arrival in a queue is to send, if that is not its route's
// request for the first time: one that the peer has not processed, a step for
// which the connection has no room, or where a redirect leads.
type resend struct {
	prepared  *preparedRequest
	extracted []string // see exchange
	attempts  int      // how often peers have refused it: see loop.resend
	redirected
}

// redirected is what has become of an arrival that was redirected; the zero value is
// of one that was not.
type redirected struct {
	redirects int
	first     time.Duration // when its first request was sent
	received  int64         // bytes of the responses before
}

// preparedOf is the request that an arrival is to send, and what was extracted
// for it from the response before.
func (l *loop) preparedOf(a arrival) (w *preparedRequest, extracted []string) {
	if a.resend != nil {
		return a.resend.prepared, a.resend.extracted
	}
	return &l.routes[a.route], nil
}

// maxAttempts is how often a request is sent to servers that refuse it before it is
// Reset.
const maxAttempts = 3

// resend ends an exchange that the peer has said it has not processed (RFC 9113
// sections 6.8 and 8.7), and sends its request on another connection: as an
// arrival that has waited in the queue since it was due.
//
// counted is false where the connection took other requests before it went away:
// that leaves fewer for the next, and needs no bound. After maxAttempts that are
// counted the outcome is Reset.
func (l *loop) resend(e *exchange, counted bool) {
	a, now := e.arrival, l.clock.now()
	if a.resend == nil {
		a.resend = &resend{prepared: e.prepared, extracted: e.extracted}
	}
	if counted {
		a.resend.attempts++
	}
	if a.resend.attempts == maxAttempts {
		l.finish(e, Reset, 0, now)
		return
	}
	p := e.conn.pool
	l.leave(e)
	count(&l.stats.resent)
	l.requeue(p, a, now)
}

// requeue puts an arrival into the queue that has left its connection, or
// must not begin there: this turn gives it to another.
func (l *loop) requeue(p *pool, a arrival, now time.Duration) {
	if l.halted.Load() {
		l.unsent(a, now, false)
		return
	}
	p.queue.insert(a)
	l.requeued, l.refill = true, true
}

// sendRequeued gives what has come back to the queues to connections that have
// room: until then, none of a pool is ready while arrivals are queued.
func (l *loop) sendRequeued() {
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
