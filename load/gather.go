package load

import "time"

// A loop whose next request is due soon need not wake up for each response
// before, if the kernel notes when it came: it sleeps until the request is due,
// reads all that has come by then, and takes the time of each from the kernel's
// note. So a response time is none the longer for it, and does not contain
// the time that it takes to wake up a thread.
//
//	due                    due                    due
//	 │ send ▷               │ read ◁◁, send ▷       │
//	 ├──────── sleep ───────┤├──────── sleep ───────┤
//	       ◁    ◁  responses come, noted by the kernel

// gatherFor is for how long a response may be left alone; Plan.Batch if that is
// longer.
const gatherFor = time.Millisecond

// gathers tells whether loops may ever do so: where a connection has one request
// under way, so that a note is about one response, and nothing of ours waits
// for a response to come.
func (g *program) gathers() bool {
	if g.Closed != nil {
		return false
	}
	for _, e := range g.endpoints {
		if e.dialect.streams() != 1 || e.path != "" { // the kernel takes no note for unix sockets
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

// mayGather tells whether what comes within the timeout may wait for its end:
// not while an arrival waits for a connection, nor in the middle of a response,
// whose sender may wait for us to read.
func (l *loop) mayGather(timeout time.Duration) bool {
	if timeout <= 0 || timeout > max(gatherFor, l.Batch) || l.turns[0] < l.prompt || l.refill || l.midway || l.next.intended == never {
		return false
	}
	for i := range l.pools {
		if p := &l.pools[i]; p.dialling > 0 || p.queue.size > 0 {
			return false
		}
	}
	return true
}

// promptFor is for how long a loop leaves nothing alone after a connection broke.
const promptFor = time.Second

// unnoted tells of an end of a connection that a request waited for: of that the
// kernel takes no note, so that it is as late as we are. It came after all bytes
// that were noted. Where responses end so, nothing is left alone any more; where
// a connection broke, not for a while.
func (l *loop) unnoted(always bool) {
	l.stamp = 0
	if always {
		l.prompt = never
	} else {
		l.prompt = max(l.prompt, l.clock.now()+promptFor)
	}
}

// cameAt is told when the bytes came that follow, by the wall clock in
// nanoseconds since 1970; 0 is now.
func (l *loop) cameAt(stamp int64) { l.stamp = stamp }

// came is when the bytes came that are being looked at.
func (l *loop) came() time.Duration {
	if l.stamp == 0 {
		return l.clock.now()
	}
	// The wall clock may have been set since: nothing that is read now came
	// before the last turn, which read all there was.
	now := time.Now()
	ago := time.Duration(now.UnixNano() - l.stamp)
	return max(l.turns[1], l.clock.at(now)-max(0, ago))
}
