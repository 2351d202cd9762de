//go:build !linux || portable

package reference

import (
	"os"
	"sync"
	"time"
)

// alarm is a timer of the runtime's.
type alarm struct {
	timer  *time.Timer
	closed chan struct{}
	close  func() // may be called again
}

func newAlarm() (*alarm, error) {
	a := &alarm{timer: time.NewTimer(time.Hour), closed: make(chan struct{})}
	a.timer.Stop()
	a.close = sync.OnceFunc(func() { close(a.closed) })
	return a, nil
}

// set makes it ring once, after d, instead of what it was set to.
func (a *alarm) set(d time.Duration) error {
	a.timer.Reset(d)
	return nil
}

// wait returns when it has rung since it was last waited for or set, or with
// an error once it is closed.
func (a *alarm) wait() error {
	select {
	case <-a.timer.C:
		return nil
	case <-a.closed:
		return os.ErrClosed
	}
}
