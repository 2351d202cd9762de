package lease

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is named for good by its pid and the time of its start: the pid
// alone is given to another one day.
type Process struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"`           // clock ticks since boot, field 22 of proc_pid_stat(5)
	Group bool   `json:"group,omitempty"` // with all of its process group, which it leads
}

// Identify names the process that has this pid now.
func Identify(pid int) (Process, error) {
	st, err := readStat(pid)
	if err != nil {
		return Process{}, err
	}
	return Process{Pid: pid, Start: st.start}, nil
}

func (p Process) String() string {
	if p.Group {
		return fmt.Sprintf("process group %d", p.Pid)
	}
	return fmt.Sprintf("process %d", p.Pid)
}

// there tells whether it has not ended.
func (p Process) there() bool {
	st, err := readStat(p.Pid)
	return err == nil && st.start == p.Start && st.state != 'Z' && st.state != 'X'
}

// Stands tells whether it is stopped by a signal.
func (p Process) Stands() bool {
	st, err := readStat(p.Pid)
	return err == nil && st.start == p.Start && st.state == 'T'
}

// Signal sends a signal to exactly this process, and to the rest of its group
// if it is one. That it has ended is no error.
func (p Process) Signal(sig unix.Signal) error {
	err := p.signalOne(sig)
	if !p.Group {
		return err
	}
	// The group may live on without its leader. Its number is not given again as
	// long as it does; a leader that started at another time is another's.
	if st, e := readStat(p.Pid); e == nil && st.start != p.Start {
		return nil
	}
	if e := unix.Kill(-p.Pid, sig); e != nil && !errors.Is(e, unix.ESRCH) {
		return fmt.Errorf("signal %s: %w", p, e)
	}
	return nil
}

func (p Process) signalOne(sig unix.Signal) error {
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

// Stop sends SIGSTOP and returns when the process stands.
func (p Process) Stop() error {
	if err := p.Signal(unix.SIGSTOP); err != nil {
		return err
	}
	for end := time.Now().Add(2 * time.Second); !p.Stands(); time.Sleep(time.Millisecond) {
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
	children := map[int][]stat{}
	for _, st := range processes() {
		children[st.parent] = append(children[st.parent], st)
	}
	family := []Process{{Pid: p.Pid, Start: p.Start}}
	for i := 0; i < len(family); i++ {
		for _, c := range children[family[i].Pid] {
			if c.state != 'Z' && c.state != 'X' {
				family = append(family, Process{Pid: c.pid, Start: c.start})
			}
		}
	}
	return family
}

// stat is the part of /proc/PID/stat that we use (proc_pid_stat(5)).
type stat struct {
	pid, parent int
	state       byte // R, S, D, Z dead but not waited for, T stopped, ...
	start       uint64
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	// The second field is the name in parentheses, which may hold both spaces
	// and parentheses: what follows the last one is regular, and begins with the
	// third field.
	rest := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(rest) < 20 || len(rest[0]) != 1 {
		return stat{}, fmt.Errorf("/proc/%d/stat is malformed: %q", pid, text)
	}
	parent, err := strconv.Atoi(string(rest[1]))
	start, e := strconv.ParseUint(string(rest[19]), 10, 64)
	return stat{pid: pid, parent: parent, state: rest[0][0], start: start}, errors.Join(err, e)
}

// processes lists all that can be seen.
func processes() []stat {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1) // what could be read of it
	var all []stat
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if st, err := readStat(pid); err == nil {
				all = append(all, st)
			}
		}
	}
	return all
}

// here names the kernel's run and our view of its processes: pids mean nothing
// in another.
func here() (boot, namespace string) {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // none: all runs look like one boot's
	namespace, _ = os.Readlink("/proc/self/ns/pid")
	return string(bytes.TrimSpace(text)), namespace
}
