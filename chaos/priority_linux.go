package chaos

import "golang.org/x/sys/unix"

// lowerPriority lets the calling thread, and what it starts, give way to others. The
// caller is locked to it and stays so to its end: only root could undo it.
func lowerPriority() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, 10) } // of a thread, see setpriority(2); it may go on as it is
