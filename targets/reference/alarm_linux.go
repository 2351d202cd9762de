//go:build linux && !portable

package reference

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// alarm is a timer of the kernel's that wakes a goroutine on time: the
// runtime's own round short waits up to 1 ms (golang/go#53824). It is waited
// for as a connection is, so no thread sleeps, however many alarms there are.
type alarm struct {
	file *os.File
	raw  syscall.RawConn
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "timerfd") // closed with the last reference to it
	raw, err := file.SyscallConn()
	return &alarm{file, raw}, err
}

// set makes it ring once, after d, instead of what it was set to.
func (a *alarm) set(d time.Duration) error {
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))} // 0 would stop it
	var set error
	err := a.raw.Control(func(fd uintptr) { set = unix.TimerfdSettime(int(fd), 0, &at, nil) })
	if err != nil {
		return err
	}
	return set
}

// wait returns when it has rung since it was last waited for or set, or with
// an error once it is closed.
func (a *alarm) wait() error {
	var rung [8]byte
	_, err := a.file.Read(rung[:])
	return err
}

func (a *alarm) close() { _ = a.file.Close() }
