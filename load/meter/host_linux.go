package meter

import (
	"bytes"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime is what all threads of this process have used so far.
func CPUTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ThreadID is the calling thread's.
func ThreadID() int64 { return int64(unix.Gettid()) }

// ThreadTime is the CPU time that a thread of this process has used; 0 if there
// is no such thread.
func ThreadTime(id int64) time.Duration {
	if id == 0 {
		return 0
	}
	// The clock of a thread, by its id: MAKE_THREAD_CPUCLOCK(tid, CPUCLOCK_SCHED)
	// in the kernel's include/linux/posix-timers_types.h.
	const perThread, sched = 4, 2
	var ts unix.Timespec
	if unix.ClockGettime(int32(^id<<3|perThread|sched), &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// MaxResident is the most memory this process has had resident, in bytes; 0 if
// the system does not say.
func MaxResident() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss << 10
}

// Unmeasured is what of the host this system does not show: nothing that is read here.
const Unmeasured = ""

// stealTime is what the hypervisor has taken from all cores so far; negative
// if the system does not say.
func stealTime() time.Duration {
	var buf [512]byte
	return parseSteal(beginning("/proc/stat", buf[:]))
}

// beginning is what a file begins with, as much as buf holds; nil if it cannot be
// read. It leaves nothing for the collector: it is called every second of a load
// that may last for days.
func beginning(file string, buf []byte) []byte {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	n, err := unix.Read(fd, buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

// parseSteal reads the eighth number of the first line, "cpu user nice system
// idle iowait irq softirq steal ...", in ticks of 1/100 s (proc_stat(5);
// USER_HZ is 100 on amd64 and arm64).
func parseSteal(stat []byte) time.Duration {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	n := 0
	for field := range bytes.FieldsSeq(line) {
		if n == 0 && string(field) != "cpu" {
			return -1
		}
		if n == 8 {
			ticks, err := strconv.ParseInt(string(field), 10, 64)
			if err != nil {
				return -1
			}
			return time.Duration(ticks) * 10 * time.Millisecond
		}
		n++
	}
	return -1
}

// stallTime is for how long, since the system began, some thread on the machine
// could have run and had to wait for a core; negative if the system does not
// say (pressure stall information, Documentation/accounting/psi.rst).
func stallTime() time.Duration {
	var buf [256]byte
	return parseStall(beginning("/proc/pressure/cpu", buf[:]))
}

// runnable is how many threads of the machine have a core or wait for one, but for
// the one that asks; negative if the system does not say.
func runnable() int {
	var buf [64]byte
	return parseRunnable(beginning("/proc/loadavg", buf[:]))
}

// parseRunnable reads the fourth field of "0.20 0.18 0.12 1/80 11206" (proc_loadavg(5)).
func parseRunnable(loadavg []byte) int {
	fields := bytes.Fields(loadavg)
	if len(fields) < 4 {
		return -1
	}
	running, _, ok := bytes.Cut(fields[3], []byte("/"))
	n, err := strconv.Atoi(string(running))
	if !ok || err != nil || n < 0 {
		return -1
	}
	return max(0, n-1)
}

// parseStall reads the total, in microseconds, of the line "some avg10=0.00
// avg60=0.00 avg300=0.00 total=0".
func parseStall(psi []byte) time.Duration {
	line, _, _ := bytes.Cut(psi, []byte("\n"))
	some, total, ok := bytes.Cut(line, []byte(" total="))
	if !ok || !bytes.HasPrefix(some, []byte("some ")) {
		return -1
	}
	µs, err := strconv.ParseInt(string(total), 10, 64)
	if err != nil {
		return -1
	}
	return time.Duration(µs) * time.Microsecond
}
