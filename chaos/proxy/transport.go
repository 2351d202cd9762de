package proxy

import (
	"net"
	"syscall"
)

// transport is a TCP connection, with TLS on it or not.
type transport interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error // of the TCP connection, as is
	SyscallConn() (syscall.RawConn, error)
}
