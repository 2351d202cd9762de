//go:build !linux || portable

package tcp

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// writeNow writes what the kernel has room for.
func writeNow(conn *net.TCPConn, p []byte) (n int, errno syscall.Errno) {
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			var failed error
			if n, failed = unix.Write(int(fd), p); failed != nil {
				n, errno = 0, errnoOf(failed)
			}
		})
	}
	if err != nil { // it is closed
		return 0, syscall.EPIPE
	}
	return n, errno
}

// waitForRoom returns when the kernel takes something, or the connection is gone.
func waitForRoom(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	// Asked for, since there may have been room before the wait began.
	_ = raw.Write(func(fd uintptr) bool {
		fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(fds[:], 0)
		return err != unix.EINTR && (err != nil || n > 0)
	})
}

// readNow drops what can be read; false means that there is no more.
func readNow(conn *net.TCPConn, buf []byte) (more bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		n, err := unix.Read(int(fd), buf)
		more = n > 0 || err == unix.EINTR
	})
	return more
}
