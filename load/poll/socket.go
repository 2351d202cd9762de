//go:build linux

package poll

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tune sets how a connection with a peer sends: what is given to it at once, and
// on loopback, where nothing is lost or congested, without a congestion control
// that measures and paces, as BBR does: that costs 3% of a small exchange, and
// may hold up what is due. Both only make it faster, and may fail. What is no TCP
// is left as it is.
func Tune(fd int, peer unix.Sockaddr) {
	var ip netip.Addr
	switch a := peer.(type) {
	case *unix.SockaddrInet4:
		ip = netip.AddrFrom4(a.Addr)
	case *unix.SockaddrInet6:
		ip = netip.AddrFrom16(a.Addr).Unmap()
	default:
		return
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if ip.IsLoopback() {
		_ = unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
	}
}

// ConnectError is how a connect that was in progress ended: 0 if it is open.
func ConnectError(fd int) unix.Errno {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err.(unix.Errno)
	}
	return unix.Errno(v)
}

// Send writes to a socket without blocking, so it need not tell Go's scheduler.
func Send(fd int, p []byte) (n int, errno unix.Errno) {
	r, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// Receive is Send the other way; 0 bytes are the end.
func Receive(fd int, p []byte) (n int, errno unix.Errno) {
	r, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// ReadyToRead reports whether there is something to read: bytes, the end, or an
// error.
func ReadyToRead(fd int) bool {
	var one [1]byte
	_, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&one[0])), 1, unix.MSG_DONTWAIT|unix.MSG_PEEK, 0, 0)
	return e != unix.EAGAIN
}
