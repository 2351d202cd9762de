//go:build linux

package load

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// rxTimestamp reads from sockets, with the time at which the kernel received it:
// SO_TIMESTAMPNS, socket(7), where TCP notes the time of the last segment that
// a read takes from.
type rxTimestamp struct {
	header unix.Msghdr
	vector unix.Iovec
	note   struct {
		unix.Cmsghdr
		at unix.Timespec
	}
}

func newRxTimestamp() *rxTimestamp {
	s := &rxTimestamp{}
	s.header.Iov, s.header.Iovlen = &s.vector, 1
	s.header.Control = (*byte)(unsafe.Pointer(&s.note))
	return s
}

// enable asks the kernel to note when it receives something for fd. Where it
// will not, receive returns 0.
func (s *rxTimestamp) enable(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
}

// receive reads what there is into p, and never blocks. stamp is when it came, by the
// wall clock in nanoseconds since 1970; 0 if the kernel did not note it.
func (s *rxTimestamp) receive(fd int, p []byte) (n int, stamp int64, errno unix.Errno) {
	s.vector.Base = unsafe.SliceData(p)
	s.vector.SetLen(len(p))
	s.header.SetControllen(int(unsafe.Sizeof(s.note)))
	r, _, e := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.header)), unix.MSG_DONTWAIT)
	if e != 0 {
		return 0, 0, e
	}
	if uintptr(s.header.Controllen) >= unsafe.Sizeof(s.note) && s.note.Level == unix.SOL_SOCKET && s.note.Type == unix.SO_TIMESTAMPNS {
		stamp = s.note.at.Nano()
	}
	return int(r), stamp, 0
}
