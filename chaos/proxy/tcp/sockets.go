//go:build linux && !portable

package tcp

import (
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/chaos/proxy/transport"
	"github.com/stormctl/stormctl/load/poll"
)

// poller is a loop's sockets, and the events of them: here the kernel's own, by
// descriptor. portable.go has the other form.
type poller struct{ *poll.Poller }

type event = unix.EpollEvent

func newPoller() (poller, error) {
	p, err := poll.New()
	return poller{p}, err
}

// receive reads without blocking; 0 bytes are the end.
func (poller) receive(fd int, p []byte) (n int, errno syscall.Errno) { return poll.Receive(fd, p) }

// send writes without blocking.
func (poller) send(fd int, p []byte) (n int, errno syscall.Errno) { return poll.Send(fd, p) }

// shutdown ends what we send. It fails only if the peer is gone, which reading shows.
func (poller) shutdown(fd int) { _ = unix.Shutdown(fd, unix.SHUT_WR) }

// drain drops what a peer has sent already: closed with that unread, the
// connection would end by a RST.
func (poller) drain(fd int, buf []byte) {
	for range drainReads {
		if n, errno := poll.Receive(fd, buf); errno != 0 || n == 0 {
			return
		}
	}
}

func (poller) closeSocket(fd int) { _ = unix.Close(fd) }

// resetSocket closes fd with a RST instead of a FIN, dropping what is unsent.
func (poller) resetSocket(fd int) {
	// It fails only on a connection that is gone already.
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(fd)
}

// connect begins to dial. It returns errno 0 if the connection is open already,
// EINPROGRESS if that will show; with any other there is none.
func (poller) connect(addr netip.AddrPort) (fd int, errno syscall.Errno) {
	to, family, err := sockaddrOf(addr)
	if err != nil {
		return -1, unix.EADDRNOTAVAIL
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, errnoOf(err)
	}
	poll.Tune(fd, to)
	switch errno := errnoOf(unix.Connect(fd, to)); errno {
	case 0:
		return fd, 0
	case unix.EINPROGRESS, unix.EINTR: // a signal does not stop it
		return fd, unix.EINPROGRESS
	default:
		_ = unix.Close(fd)
		return -1, errno
	}
}

// connectError is how a connect that was in progress ended: 0 if it is open.
func (poller) connectError(fd int) syscall.Errno { return poll.ConnectError(fd) }

// accept takes a connection that waits; EAGAIN if there is none.
func (poller) accept(listener int) (fd int, errno syscall.Errno) {
	fd, from, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err == nil {
		poll.Tune(fd, from)
	}
	return fd, errnoOf(err)
}

// pauseListening makes the kernel refuse connections. Those that wait to be
// accepted are reset.
func (poller) pauseListening(fd int) error { return unix.Shutdown(fd, unix.SHUT_RD) }

// resumeListening is the end of pauseListening. Another process may have bound the
// address meanwhile, with SO_REUSEADDR as here: then it is an error.
func (poller) resumeListening(fd int) error { return unix.Listen(fd, listenBacklog) }

// listen listens on addr, which keeps its port while it is paused.
func (poller) listen(addr netip.AddrPort) (fd int, has netip.AddrPort, err error) {
	if addr.Port() == 0 {
		// The kernel takes a port that it has chosen itself away from a socket
		// that stops listening, but not one that was asked for. So one socket
		// finds a free port, and keeps it until the other has it.
		keeper, free, err := bindTo(addr)
		if err != nil {
			return -1, addr, err
		}
		defer func() { _ = unix.Close(keeper) }()
		addr = free
	}
	if fd, has, err = bindTo(addr); err != nil {
		return -1, addr, err
	}
	if err := unix.Listen(fd, listenBacklog); err != nil {
		_ = unix.Close(fd)
		return -1, addr, os.NewSyscallError("listen", err)
	}
	return fd, has, nil
}

func (poller) bindToDevice(fd int, device string) error { return transport.BindToDevice(fd, device) }

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

// sockaddrOf is the address as the kernel takes it.
func sockaddrOf(addr netip.AddrPort) (to unix.Sockaddr, family int, err error) {
	ip := addr.Addr()
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: ip.As4()}, unix.AF_INET, nil
	}
	six := &unix.SockaddrInet6{Port: int(addr.Port()), Addr: ip.As16()}
	if zone := ip.Zone(); zone != "" {
		i, err := net.InterfaceByName(zone)
		if err != nil {
			return nil, 0, err
		}
		six.ZoneId = uint32(i.Index)
	}
	return six, unix.AF_INET6, nil
}
