package tcp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/toxic"
)

// listener is the socket that callers connect to. While it is paused
// connections are refused, and the address stays bound.
type listener struct {
	fd     int
	addr   netip.AddrPort
	paused bool
	more   bool          // there may be a connection to accept
	retry  time.Duration // when to try again to accept or to open; never if there is nothing to try
}

const (
	listenerSlot  = -2 // marks its events
	listenBacklog = 4096
	acceptBatch   = 64                   // connections that one turn accepts
	listenPause   = 5 * time.Millisecond // before another try
)

// openListener listens on host:port.
func openListener(listen string) (d *listener, err error) {
	to, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		return nil, err
	}
	addr := to.AddrPort()
	if !addr.Addr().IsValid() {
		addr = netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())
		if !hasIPv6() {
			addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		}
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	fail := func(err error) (*listener, error) {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(addr), Err: err}
	}
	if addr.Port() == 0 {
		// The kernel takes a port that it has chosen itself away from a socket
		// that stops listening, but not one that was asked for. So one socket
		// finds a free port, and keeps it until the other has it.
		keeper, free, err := bindTo(addr)
		if err != nil {
			return fail(err)
		}
		defer func() { _ = unix.Close(keeper) }()
		addr = free
	}
	d = &listener{retry: never}
	if d.fd, d.addr, err = bindTo(addr); err != nil {
		return fail(err)
	}
	if err := unix.Listen(d.fd, listenBacklog); err != nil {
		d.close()
		return fail(os.NewSyscallError("listen", err))
	}
	return d, nil
}

// hasIPv6 reports whether there are sockets of it.
func hasIPv6() bool {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err == nil
}

// bindTo returns a socket that has the address, and does not listen.
func bindTo(addr netip.AddrPort) (fd int, has netip.AddrPort, err error) {
	to, family, err := sockaddrOf(addr)
	if err != nil {
		return -1, has, err
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, has, os.NewSyscallError("socket", err)
	}
	// As package net does: connections of an earlier relay may still be waiting
	// for their last packets.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if family == unix.AF_INET6 && addr.Addr().IsUnspecified() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if err = unix.Bind(fd, to); err != nil {
		_ = unix.Close(fd)
		return -1, has, os.NewSyscallError("bind", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		_ = unix.Close(fd)
		return -1, has, os.NewSyscallError("getsockname", err)
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		has = netip.AddrPortFrom(addr.Addr(), uint16(name.Port))
	case *unix.SockaddrInet6:
		has = netip.AddrPortFrom(addr.Addr(), uint16(name.Port))
	}
	return fd, has, nil
}

func (d *listener) close() { _ = unix.Close(d.fd) }

// sync pauses the listener while a toxic refuses every connection.
func (d *listener) sync(toxics *connToxics, now time.Duration) {
	refusesAll := slices.ContainsFunc(toxics.list, func(a *activeConn) bool {
		t, ok := a.toxic.(toxic.Down)
		return ok && t.RefusesAll()
	})
	switch {
	case refusesAll == d.paused:
	case refusesAll:
		// Those that wait to be accepted are reset.
		if unix.Shutdown(d.fd, unix.SHUT_RD) == nil {
			d.paused, d.more = true, false
		}
	default:
		d.reopen(now)
	}
}

// reopen listens again. Another process may have bound the address meanwhile, with
// SO_REUSEADDR as here: then it is tried again every listenPause.
func (d *listener) reopen(now time.Duration) {
	if unix.Listen(d.fd, listenBacklog) != nil {
		d.retry = now + listenPause
		return
	}
	d.paused, d.more, d.retry = false, true, never
}

// accept takes the connections that wait.
func (l *loop) accept() {
	d := l.listener
	if !l.prepared.Load() {
		return
	}
	if d.retry <= l.now {
		d.retry = never
		if d.paused {
			d.sync(l.toxics, l.now)
		} else {
			d.more = true
		}
	}
	if d.paused {
		d.more = false
		return
	}
	for n := 0; d.more && n < acceptBatch; n++ {
		fd, from, err := unix.Accept4(d.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == nil:
			l.admit(fd, from)
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		case errors.Is(err, unix.EAGAIN):
			d.more = false
		default:
			// Out of file descriptors: the connections there are must not suffer
			// from it.
			d.more, d.retry = false, l.now+listenPause
		}
	}
}
