package meter

import (
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

// MaxResident is the most memory this process has had resident, in bytes; 0 if
// the system does not say.
func MaxResident() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss
}
