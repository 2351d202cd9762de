package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Read reads the status of one process (proc_pid_stat(5)). Its error wraps
// fs.ErrNotExist if there is none.
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

// Environ is the environment that a process was started with, each variable ended
// by a zero byte.
func Environ(pid int) ([]byte, error) { return os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) }

// Program is the file that a process runs. Its name in /proc/PID/comm may be
// chosen by itself, this may not.
func Program(pid int) (string, error) {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return strings.TrimSuffix(path, " (deleted)"), err
}

// View names the kernel's run and our view of its processes: pids mean nothing
// in another, nor starts by another clock.
func View() (boot, namespace, clock string) {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // none: all runs look like one boot's
	namespace, _ = os.Readlink("/proc/self/ns/pid")
	clock, _ = os.Readlink("/proc/self/ns/time") // none before Linux 5.6, which has but one
	return string(bytes.TrimSpace(text)), namespace, clock
}

// Self is the program that runs now, also when the file it came from has since been
// rebuilt or deleted (as `go run` does).
func Self() (string, error) { return "/proc/self/exe", nil }
