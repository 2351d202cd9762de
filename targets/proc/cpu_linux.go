package proc

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of times in /proc: the kernel's USER_HZ is 100 on every
// architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// CPU is the CPU time, user and system, of a process and of those of its children
// that have ended and were waited for; 0 if there is no such process.
func CPU(pid int) time.Duration {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // as Read does
	if len(fields) < 15 {
		return 0
	}
	var ticks uint64
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseUint(string(field), 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}
