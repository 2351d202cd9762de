// Package proc reads what Linux says of processes in /proc/PID/stat
// (proc_pid_stat(5)). It may be used concurrently.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// Stat is the part of a process's status that we use.
type Stat struct {
	Pid, Parent int
	State       byte   // R, S, D, Z dead but not waited for, T stopped, ...
	Start       uint64 // clock ticks since boot; with the pid it names a process for good
}

// Read reads the status of one process. Its error wraps fs.ErrNotExist if there is
// none.
func Read(pid int) (Stat, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Stat{}, err
	}
	// The second field is the name in parentheses, which may hold both spaces
	// and parentheses: what follows the last one is regular, and begins with the
	// third field.
	rest := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(rest) < 20 || len(rest[0]) != 1 {
		return Stat{}, fmt.Errorf("/proc/%d/stat is malformed: %q", pid, text)
	}
	parent, err := strconv.Atoi(string(rest[1]))
	start, e := strconv.ParseUint(string(rest[19]), 10, 64)
	return Stat{Pid: pid, Parent: parent, State: rest[0][0], Start: start}, errors.Join(err, e)
}

// All lists the processes that can be seen.
func All() []Stat {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what could be read of it
	var all []Stat
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if st, err := Read(pid); err == nil {
				all = append(all, st)
			}
		}
	}
	return all
}
