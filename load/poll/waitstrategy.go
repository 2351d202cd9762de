package poll

import "time"

// WaitStrategy decides how a loop waits. Told of a system call that blocks, Go's
// scheduler takes the thread's P away, and its monitor thread, which has just
// found something to do, looks again 20 µs later: at 100,000 requests a second
// that was a quarter of our CPU time. So a loop that has something to do most
// of the time keeps its P, for which Spare provides one more, and tells the
// scheduler only once nothing has come for ShortWait.
//
// To stop the world Go signals the thread, which ends the wait; where signals
// are switched off (GODEBUG=asyncpreemptoff=1) it takes ShortWait at most.
type WaitStrategy struct {
	Idle bool // nothing came in the last wait, and it was ShortWait
}

// ShortWait is how long a loop that keeps its P waits at a time.
const ShortWait = 10 * time.Millisecond

// Next returns how long to wait now, and whether without telling the scheduler.
func (p *WaitStrategy) Next(timeout time.Duration) (wait time.Duration, keep bool) {
	if p.Idle {
		return timeout, false
	}
	if timeout < 0 || timeout > ShortWait {
		timeout = ShortWait
	}
	return timeout, true
}

// Was is told how a wait ended: timeout is what Next was asked for, wait what Next
// returned, and nothing says that no event came. It returns whether all of timeout
// has passed.
func (p *WaitStrategy) Was(timeout, wait time.Duration, nothing bool) (elapsed bool) {
	p.Idle = nothing && (p.Idle || wait == ShortWait)
	return nothing && wait == timeout
}
