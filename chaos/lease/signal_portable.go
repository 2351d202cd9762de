//go:build !linux || portable

package lease

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/stormctl/stormctl/targets/proc"
)

// signalOne sends a signal to this process, and to none that cannot be identified.
// Without descriptors of processes there is a moment between the look and the
// signal: a pid is not given again that soon, because others come first.
func (p Process) signalOne(sig syscall.Signal) error {
	st, err := proc.Read(p.Pid)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("signal %s, which cannot be identified: %w", p, err)
	case st.Start != p.Start || st.State == 'Z':
		return nil
	}
	if err := syscall.Kill(p.Pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %s: %w", p, err)
	}
	return nil
}
