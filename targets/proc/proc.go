// Package proc reads what the system says of processes: Linux in /proc, macOS by
// sysctl(3). It may be used concurrently.
package proc

// Stat is the part of a process's status that we use.
type Stat struct {
	Pid, Parent int
	State       byte   // R, S, D, Z dead but not waited for, T stopped, ...
	Start       uint64 // clock ticks since boot, on macOS microseconds since 1970; with the pid it names a process for good
}
