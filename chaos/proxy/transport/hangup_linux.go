package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// HungUp reports whether the peer has closed or reset the connection, also while
// there are unread bytes before that. It does not block.
func HungUp(conn syscall.RawConn) bool {
	gone := false
	err := conn.Control(func(fd uintptr) {
		poll := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(poll[:], 0)
		gone = err == nil && n > 0 && poll[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return err != nil || gone
}

// Unsent reports whether there are bytes written that the peer has not
// acknowledged.
func Unsent(conn syscall.RawConn) bool {
	left := 0
	err := conn.Control(func(fd uintptr) {
		left, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) // fails only on what is no socket
	})
	return err == nil && left > 0
}
