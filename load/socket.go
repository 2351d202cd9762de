//go:build linux

package load

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/load/poll"
)

// address is where a socket connects to, made once for all dials. connect
// writes into it, so loops do not share one.
type address struct {
	family int
	to     unix.Sockaddr
}

// connect begins to open a connection that never blocks. It returns errno 0 if
// it is open already and EINPROGRESS if that will show; with any other errno
// there is no connection.
func (a address) connect() (fd int, errno unix.Errno) {
	fd, err := unix.Socket(a.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err.(unix.Errno)
	}
	poll.Tune(fd, a.to)
	switch err := unix.Connect(fd, a.to); err {
	case nil:
		return fd, 0
	case unix.EINPROGRESS, unix.EINTR: // a signal does not stop it
		return fd, unix.EINPROGRESS
	default:
		_ = unix.Close(fd)
		return -1, err.(unix.Errno)
	}
}

func addressOf(e endpoint) (address, error) {
	if e.path != "" {
		return address{unix.AF_UNIX, &unix.SockaddrUnix{Name: e.path}}, nil
	}
	ip := e.addr.Addr().Unmap()
	if ip.Is4() {
		return address{unix.AF_INET, &unix.SockaddrInet4{Port: int(e.addr.Port()), Addr: ip.As4()}}, nil
	}
	six := &unix.SockaddrInet6{Port: int(e.addr.Port()), Addr: ip.As16()}
	if zone := ip.Zone(); zone != "" {
		i, err := net.InterfaceByName(zone)
		if err != nil {
			return address{}, fmt.Errorf("address %s: %w", e.addr, err)
		}
		six.ZoneId = uint32(i.Index)
	}
	return address{unix.AF_INET6, six}, nil
}

// takeDescriptor takes the socket out of a connection of package net, which is
// closed.
func takeDescriptor(from net.Conn) (fd int, err error) {
	raw, err := from.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, err
	}
	var dupErr error
	err = raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, os.NewSyscallError("fcntl", dupErr)); err != nil {
		fd = -1
	}
	return fd, errors.Join(err, from.Close())
}
