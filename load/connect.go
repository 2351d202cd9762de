package load

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/load/wire"
)

const (
	dialBatch = 64                    // connections that one turn dials, so that it does not starve the rest
	dialBurst = 10 * time.Millisecond // how long a right to dial that was not used lasts
)

// dial opens a connection for an arrival. The arrival owns what comes of it:
// it does not go over to a connection that comes free meanwhile, and if the
// dial fails that is its outcome.
func (l *loop) dial(p *pool, a arrival) {
	c := l.newConn(p)
	c.state = dialling
	p.open++
	p.dialling++
	l.stats.countDial()
	l.begin(c, a, l.clock.now())
	if p.tls != nil {
		l.handshake(c)
	} else {
		l.net.dial(c)
	}
}

// dialForQueued uses the room that closed connections have left.
func (l *loop) dialForQueued() {
	if !l.refill {
		return
	}
	l.refill = false
	if l.closed != nil {
		return // dialMissing does
	}
	for i := range l.pools {
		p := &l.pools[i]
		for n := 0; p.queue.size > 0 && p.open < p.limit && !p.awaited(p.queue.size); n++ {
			if n == dialBatch || !l.mayDial() {
				l.refill = true // the rest in a later turn
				break
			}
			l.dial(p, p.queue.pop())
		}
	}
}

// mayDial reports whether the plan's rate of new connections allows one now, and
// counts it.
func (l *loop) mayDial() bool {
	if l.dialGap == 0 {
		return true
	}
	now := l.clock.now()
	if now < l.nextDial {
		return false
	}
	l.nextDial = max(l.nextDial, now-dialBurst) + l.dialGap
	return true
}

// newConn returns an unused conn, for a connection of the pool.
func (l *loop) newConn(p *pool) *conn {
	var c *conn
	if n := len(l.unused); n > 0 {
		c, l.unused = l.unused[n-1], l.unused[:n-1]
	} else {
		c = &conn{slot: int32(len(l.conns)), readyAt: -1}
		l.conns = append(l.conns, c)
	}
	c.pool, c.retired, c.peerDone, c.exchanges = p, false, false, 0
	c.sendsControl, c.pending = false, c.pending[:0]
	return c
}

// opened goes on when a dial has succeeded.
func (l *loop) opened(c *conn) {
	if l.lapsed(l.clock.now()) { // what it was dialled for must not be sent any more
		l.lose(c, Unsent)
		return
	}
	c.state = open
	c.pool.dialling--
	now := l.clock.now()
	c.opened = now
	c.codec = c.pool.codec
	c.codec.open(l, c)
	for _, e := range c.inFlight {
		e.sent = now
		if !c.codec.send(l, e) {
			l.broken(c)
			return
		}
	}
	l.release(c)
	l.refill = l.refill || c.pool.queue.size > 0
}

// dialFailed goes on when a dial has not. Where the host has run out of
// something, the service never had the chance to answer: that is Unsent.
func (l *loop) dialFailed(c *conn, err error) {
	outcome := Refused
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		switch {
		case slices.Contains(starving[:], errno):
			outcome = Unsent
			count(&l.stats.starved)
			for _, e := range c.inFlight {
				e.starved = true
			}
		case errno == timedOut:
			outcome = TimedOut
		}
	} else if c.pool.tls != nil && !errors.Is(err, context.Canceled) {
		l.stats.tls.add(err.Error())
	}
	l.closed.dialFailed(l.clock.now())
	l.lose(c, outcome)
}

// retire begins no more exchanges on a connection.
func (l *loop) retire(c *conn) {
	c.retired = true
	c.pool.withdraw(c)
}

// outlived reports whether a connection has been used as much as the plan wants.
// Lifetimes vary by half, so that connections opened together do not all end
// together.
func (l *loop) outlived(c *conn) bool {
	if l.ConnRequests > 0 && c.exchanges >= l.ConnRequests {
		return true
	}
	if l.ConnLifetime <= 0 {
		return false
	}
	share := 0.5 + float64(wire.Mix(l.Seed^uint64(c.slot)<<32^uint64(c.generation))>>11)/(1<<53)
	return l.clock.now()-c.opened >= time.Duration(share*float64(l.ConnLifetime))
}

// broken goes on when a connection is of no use any more.
func (l *loop) broken(c *conn) {
	if len(c.inFlight) > 0 {
		l.noTimestamp(false)
	}
	l.lose(c, Reset)
}

// lose ends a connection with all it works on. The oldest exchange is the one
// that the outcome is about; what came behind it was reset.
func (l *loop) lose(c *conn, outcome Outcome) {
	now := l.clock.now()
	for len(c.inFlight) > 0 {
		l.finish(c.inFlight[0], outcome, 0, now)
		if outcome != Unsent {
			outcome = Reset
		}
	}
	l.drop(c)
}

// drop closes a connection that works on nothing.
func (l *loop) drop(c *conn) {
	p := c.pool
	p.withdraw(c)
	if c.state == dialling {
		p.dialling--
	}
	l.disconnect(c)
	l.stats.countClosed()
	c.state = unused
	c.generation++
	p.open--
	l.refill = l.refill || p.queue.size > 0
	l.unused = append(l.unused, c)
	l.closed.connClosed()
}

// disconnect closes what a connection stands on, at whatever stage it is.
func (l *loop) disconnect(c *conn) {
	if c.cancel != nil {
		c.cancel()
		c.cancel = nil
	}
	c.tls = nil
	l.net.close(c)
}
