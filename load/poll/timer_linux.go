package poll

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MinimizeTimerSlack makes the kernel end the calling thread's sleeps as precisely
// as it can, instead of up to 50 µs late to save wake-ups. The caller has
// locked itself to its thread.
func MinimizeTimerSlack() {
	// It fails only where a sandbox forbids it: then wake-ups are later.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}

// Sleep blocks the thread, without Go's timers between: those round up. It does
// not tell Go's scheduler, so that the wake-up does not pass through it; the
// caller has a P to spare. A signal ends the sleep early: then it is not whole.
func Sleep(d time.Duration) (whole bool) {
	ts := unix.NsecToTimespec(int64(d))
	_, _, errno := unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
	return errno == 0
}
