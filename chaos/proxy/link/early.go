package link

import (
	"sync"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// mostEarly is how many connections are kept that ended before the recorder came.
const mostEarly = 1 << 16

// early keeps the connections that ended before there was a recorder: a service that
// fills its pool as it starts does so before the load begins.
type early struct {
	mu   sync.Mutex
	kept []earlyConn
}

type earlyConn struct {
	evidence.Exchange
	began, ended time.Time
}

// on is the record by the clock of a recorder.
func (x earlyConn) on(r *recorder) evidence.Exchange {
	x.Begin, x.End = x.began.Sub(r.start), x.ended.Sub(r.start)
	return x.Exchange
}

// tell puts a recorder in place, and gives away what was kept for it.
func (e *early) tell(place func()) []earlyConn {
	e.mu.Lock()
	defer e.mu.Unlock()
	place()
	kept := e.kept
	e.kept = nil
	return kept
}

// endEarly ends a connection that began before there was a recorder. It is the
// caller's to Tell if there is one by now.
func (c *Counters) endEarly(x *Record) {
	one := earlyConn{x.Exchange, x.began, time.Now()}
	c.early.mu.Lock()
	defer c.early.mu.Unlock()
	if r := c.recorder.Load(); r != nil {
		x.recorder, x.Exchange = r, one.on(r)
		return
	}
	if len(c.early.kept) == mostEarly {
		c.CountUnread("connection, of more before the load than are kept")
		return
	}
	c.early.kept = append(c.early.kept, one)
}
