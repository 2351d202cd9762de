package lease

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/stormctl/stormctl/targets/proc"
)

// A Process is named for good by its pid and the time of its start: the pid
// alone is given to another one day.
type Process struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"`           // proc.Stat.Start
	Group bool   `json:"group,omitempty"` // with all of its process group, which it leads
}

// Identify names the process that has this pid now.
func Identify(pid int) (Process, error) {
	st, err := proc.Read(pid)
	if err != nil {
		return Process{}, err
	}
	return Process{Pid: pid, Start: st.Start}, nil
}

func (p Process) String() string {
	if p.Group {
		return fmt.Sprintf("process group %d", p.Pid)
	}
	return fmt.Sprintf("process %d", p.Pid)
}

// there reports whether it has not ended.
func (p Process) there() bool {
	st, err := proc.Read(p.Pid)
	return err == nil && st.Start == p.Start && st.State != 'Z' && st.State != 'X'
}

// Stopped reports whether it is stopped by a signal.
func (p Process) Stopped() bool {
	st, err := proc.Read(p.Pid)
	return err == nil && st.Start == p.Start && st.State == 'T'
}

// Signal sends a signal to exactly this process, and to the rest of its group
// if it is one. That it has ended is no error.
func (p Process) Signal(sig syscall.Signal) error {
	err := p.signalOne(sig)
	if !p.Group {
		return err
	}
	// The group may live on without its leader. Its number is not given again as
	// long as it does; a leader that started at another time is another's.
	if st, e := proc.Read(p.Pid); e == nil && st.Start != p.Start {
		return nil
	}
	if e := syscall.Kill(-p.Pid, sig); e != nil && !errors.Is(e, syscall.ESRCH) {
		return fmt.Errorf("signal %s: %w", p, e)
	}
	return nil
}

// Stop sends SIGSTOP and returns when the process stands.
func (p Process) Stop() error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for end := time.Now().Add(2 * time.Second); !p.Stopped(); time.Sleep(time.Millisecond) {
		switch {
		case !p.there():
			return fmt.Errorf("stop %s: it ended meanwhile", p)
		case time.Now().After(end):
			return fmt.Errorf("stop %s: it does not stand 2s after SIGSTOP", p)
		}
	}
	return nil
}

// Family is the process and all its descendants, as they are now.
func (p Process) Family() []Process {
	if !p.there() {
		return nil
	}
	children := map[int][]proc.Stat{}
	for _, st := range proc.All() {
		children[st.Parent] = append(children[st.Parent], st)
	}
	family := []Process{{Pid: p.Pid, Start: p.Start}}
	for i := 0; i < len(family); i++ {
		for _, c := range children[family[i].Pid] {
			if c.State != 'Z' && c.State != 'X' {
				family = append(family, Process{Pid: c.Pid, Start: c.Start})
			}
		}
	}
	return family
}
