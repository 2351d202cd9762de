package chaos

import "golang.org/x/sys/unix"

// lowerPriority lets a process of ours give way to others. It goes on as it is where that
// cannot be.
func lowerPriority(pid int) { _ = unix.Setpriority(unix.PRIO_PROCESS, pid, 10) }
