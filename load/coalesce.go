package load

import "time"

// A loop whose next request is due soon need not wake up for each response
// before, if the kernel notes when it came: it sleeps until the request is due,
// reads all that has come by then, and takes the time of each from the kernel's
// timestamp. So a response time is none the longer for it, and does not contain
// the time that it takes to wake up a thread.
//
//	due                    due                    due
//	 │ send ▷               │ read ◁◁, send ▷       │
//	 ├──────── sleep ───────┤├──────── sleep ───────┤
//	       ◁    ◁  responses come, noted by the kernel

// coalesceFor is for how long a response may be left unread; Plan.Batch if that is
// longer.
const coalesceFor = time.Millisecond

// mayCoalesce reports whether loops may ever do so: where a connection has one
// request under way, so that a timestamp is about one response, and nothing of
// ours waits for a response to come. The timestamp is the wall clock's: good for how
// long something took, not for what came before what, which is all that counts where
// data is written and read.
func (g *program) mayCoalesce() bool {
	if g.Closed != nil || g.accesses() {
		return false
	}
	for _, e := range g.endpoints {
		if e.codec.concurrency() != 1 || e.path != "" { // the kernel has no timestamps for unix sockets
			return false
		}
	}
	for i := range g.routes {
		if g.routes[i].next != nil {
			return false
		}
	}
	return true
}

// canCoalesce reports whether what comes within the timeout may wait for its end:
// not while an arrival waits for a connection, nor in the middle of a response,
// whose sender may wait for us to read.
func (l *loop) canCoalesce(timeout time.Duration) bool {
	if timeout <= 0 || timeout > max(coalesceFor, l.Batch) || l.turns[0] < l.coalesceAfter {
		return false
	}
	if l.refill || l.partial || l.next.intended == never {
		return false
	}
	for i := range l.pools {
		if p := &l.pools[i]; p.dialling > 0 || p.queue.size > 0 {
			return false
		}
	}
	return true
}

// noCoalesceFor is for how long a loop wakes up for each response after a
// connection broke.
const noCoalesceFor = time.Second

// noTimestamp is called at the end of a connection that a request waited for: it
// has no timestamp of the kernel's, so it is known as late as the loop wakes up. It
// came after all bytes that have one. Where responses end so (always), the loop
// coalesces no more; where a connection broke, not for a while.
func (l *loop) noTimestamp(always bool) {
	l.rxTime = 0
	if always {
		l.coalesceAfter = never
	} else {
		l.coalesceAfter = max(l.coalesceAfter, l.clock.now()+noCoalesceFor)
	}
}

// setRxTime says when the bytes came that follow, by the wall clock in
// nanoseconds since 1970; 0 is now.
func (l *loop) setRxTime(stamp int64) { l.rxTime = stamp }

// receivedAt is when the bytes came that are being read.
func (l *loop) receivedAt() time.Duration {
	if l.rxTime == 0 {
		return l.clock.now()
	}
	// The wall clock may have been set since: nothing that is read now came
	// before the last turn, which read all there was.
	now := time.Now()
	ago := time.Duration(now.UnixNano() - l.rxTime)
	return max(l.turns[1], l.clock.at(now)-max(0, ago))
}
