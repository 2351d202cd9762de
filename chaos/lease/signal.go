//go:build linux && !portable

package lease

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalOne sends a signal to exactly this process.
func (p Process) signalOne(sig syscall.Signal) error {
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", p, err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written to it
	if !p.there() {                       // looked at after it was opened: the descriptor cannot pass to another any more
		return nil
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal %s: %w", p, err)
	}
	return nil
}
