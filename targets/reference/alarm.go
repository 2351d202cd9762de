package reference

import (
	"sync"
	"time"
)

var alarms = sync.Pool{New: func() any { a, _ := newAlarm(); return a }}

// sleep waits for d, and not much longer.
func sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	a := alarms.Get().(*alarm)
	if a == nil || a.set(d) != nil || a.wait() != nil {
		time.Sleep(d) // too many open files: rather late than not at all
		return
	}
	alarms.Put(a)
}
