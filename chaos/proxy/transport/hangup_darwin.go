package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// HungUp reports whether the peer has closed or reset the connection, also while
// there are unread bytes before that. It does not block. The states are those of
// netinet/tcp_fsm.h: a peer that has closed is behind CLOSE_WAIT, CLOSING, LAST_ACK
// and TIME_WAIT, one that has reset the connection behind CLOSED.
func HungUp(conn syscall.RawConn) bool {
	const closed, closeWait, closing, lastAck, timeWait = 0, 5, 7, 8, 10
	gone := false
	err := conn.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPConnectionInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_CONNECTION_INFO)
		if err != nil {
			gone = true // of a connection that was reset there is none
			return
		}
		switch info.State {
		case closed, closeWait, closing, lastAck, timeWait:
			gone = true
		}
	})
	return err != nil || gone
}

// Unsent reports whether there are bytes written that the peer has not
// acknowledged.
func Unsent(conn syscall.RawConn) bool {
	left := 0
	err := conn.Control(func(fd uintptr) {
		left, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NWRITE) // fails only on what is no socket
	})
	return err == nil && left > 0
}
