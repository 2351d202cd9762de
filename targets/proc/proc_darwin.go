package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Read reads the status of one process. Its error wraps fs.ErrNotExist if there is
// none.
func Read(pid int) (Stat, error) {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.ESRCH) { // the answer is empty
		err = fs.ErrNotExist
	}
	if err != nil {
		return Stat{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	return statOf(k), nil
}

// All lists the processes that can be seen.
func All() []Stat {
	list, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil
	}
	all := make([]Stat, len(list))
	for i := range list {
		all[i] = statOf(&list[i])
	}
	return all
}

// statOf takes over what we use. The states are those of sys/proc.h: SIDL, SRUN,
// SSLEEP, SSTOP, SZOMB.
func statOf(k *unix.KinfoProc) Stat {
	const states = "?IRSTZ"
	st := Stat{Pid: int(k.Proc.P_pid), Parent: int(k.Eproc.Ppid), State: '?'}
	if n := int(k.Proc.P_stat); n > 0 && n < len(states) {
		st.State = states[n]
	}
	began := k.Proc.P_starttime
	st.Start = uint64(began.Sec)*1e6 + uint64(began.Usec)
	return st
}

// Environ is the environment that a process was started with, each variable ended
// by a zero byte. The system shows it for our own user's.
func Environ(pid int) ([]byte, error) {
	_, environ, err := arguments(pid)
	return environ, err
}

// Program is the file that a process runs.
func Program(pid int) (string, error) {
	program, _, err := arguments(pid)
	return program, err
}

func arguments(pid int) (program string, environ []byte, err error) {
	text, err := unix.SysctlRaw("kern.procargs2", pid)
	if err != nil {
		return "", nil, fmt.Errorf("read the arguments of process %d: %w", pid, err)
	}
	return parseArguments(text)
}

// View names the kernel's run; there is one view of its processes.
func View() (boot, namespace, clock string) {
	boot, _ = unix.Sysctl("kern.bootsessionuuid") // none: all runs look like one boot's
	return boot, "", ""
}

// Self is the file of the program that runs now. It must still be there.
func Self() (string, error) { return os.Executable() }
