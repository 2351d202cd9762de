package load

import (
	"errors"
	"time"
)

// ErrLapsed says that a load has ended because it had come past Plan.Until.
var ErrLapsed = errors.New("the load was kept going no longer")

// lapsed reports whether the time that the load may go on until has passed for one of its
// loops, and then halts this one: once over, it is over for all. It is asked before
// each arrival is sent: a process that stood still for longer than its lease finds a
// backlog when it wakes up, and must not send it.
func (l *loop) lapsed(now time.Duration) bool {
	if l.Until == nil {
		return false
	}
	if !l.over.Load() {
		if int64(now) <= l.Until.Load() {
			return false
		}
		l.over.Store(true)
	}
	l.halted.Store(true)
	return true
}
