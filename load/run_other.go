//go:build !linux

package load

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// Run needs Linux: the event loops stand on epoll.
func Run(_ context.Context, p Plan, _ time.Time, _ Observe) error {
	if _, err := prepare(p); err != nil {
		return err
	}
	return errors.Join(errors.ErrUnsupported, errors.New("load: run on "+runtime.GOOS+": event loops need Linux"))
}
