//go:build linux

package poll

import (
	"errors"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Poller waits for connections to become ready. Each is registered once, edge
// triggered, for its whole life: a loop reads until there is nothing left, so
// interest need not be set again.
type Poller struct {
	epfd     int
	wakefd   int
	events   []unix.EpollEvent
	timeout  unix.Timespec
	NoPwait2 bool // the kernel is older than 5.11, or a sandbox forbids it: found out, or set before the first wait
	WaitStrategy
}

// pollBatch is how many events one wait can return.
const pollBatch = 512

const (
	Readable = unix.EPOLLIN
	Writable = unix.EPOLLOUT
	HungUp   = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR // the peer will send nothing after what it has sent
	Broken   = unix.EPOLLERR                                   // and has reset the connection, or the path has
)

// WakeSlot marks the event of Wake.
const WakeSlot = -1

// New returns a poller; it must be closed.
func New() (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	p := &Poller{epfd: epfd, wakefd: -1, events: make([]unix.EpollEvent, pollBatch)}
	p.wakefd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		p.Close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err := p.Add(p.wakefd, WakeSlot, 0); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close frees the poller; no Wait may be under way.
func (p *Poller) Close() {
	_ = unix.Close(p.epfd)
	if p.wakefd >= 0 {
		_ = unix.Close(p.wakefd)
	}
}

// Add registers fd for life. Events of it carry slot and generation, so that
// one of a connection that was closed in the same turn is not mistaken for
// the next one's in its slot.
func (p *Poller) Add(fd int, slot, generation int32) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: slot, Pad: generation}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epfd, unix.EPOLL_CTL_ADD, fd, &e))
}

// Remove ends the registration of fd.
func (p *Poller) Remove(fd int) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epfd, unix.EPOLL_CTL_DEL, fd, nil))
}

// Fd is the poller's descriptor: readable when a wait would return events.
func (p *Poller) Fd() int { return p.epfd }

// Wake ends a wait. Any goroutine may call it.
func (p *Poller) Wake() {
	one := [8]byte{1} // any number, in any byte order
	// It only fails when the counter is full, and then it has woken already.
	_, _ = unix.Write(p.wakefd, one[:])
}

// Wait returns what became ready within timeout, to the nanosecond; negative
// is for ever and 0 does not block. The events are valid until the next wait.
// elapsed reports that nothing came before the timeout: not so after a signal.
func (p *Poller) Wait(timeout time.Duration) (events []unix.EpollEvent, elapsed bool, err error) {
	wait, keep := p.Next(timeout)
	n, errno := p.poll(wait, keep)
	if errno == unix.ENOSYS || errno == unix.EPERM {
		p.NoPwait2 = true
		n, errno = p.poll(wait, keep)
	}
	switch errno {
	case 0:
		return p.events[:n], p.Was(timeout, wait, n == 0), nil
	case unix.EINTR: // Go preempts with signals
		return nil, false, nil
	default:
		return nil, false, os.NewSyscallError("epoll_wait", errno)
	}
}

func (p *Poller) poll(timeout time.Duration, keep bool) (n int, errno unix.Errno) {
	if timeout != 0 && p.NoPwait2 {
		// ppoll on the epoll descriptor has the nanoseconds that epoll_wait lacks.
		if errno := p.ppoll(timeout); errno != 0 {
			return 0, errno
		}
		timeout = 0
	}
	var until unsafe.Pointer
	if timeout >= 0 {
		p.timeout = unix.NsecToTimespec(int64(timeout))
		until = unsafe.Pointer(&p.timeout)
	}
	var r uintptr
	switch {
	case timeout == 0:
		r, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), pollBatch, 0, 0, 0)
	case keep:
		r, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), pollBatch,
			uintptr(until), 0, 0)
	default:
		r, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), pollBatch,
			uintptr(until), 0, 0)
	}
	return int(r), errno
}

func (p *Poller) ppoll(timeout time.Duration) unix.Errno {
	fds := [1]unix.PollFd{{Fd: int32(p.epfd), Events: unix.POLLIN}}
	var until *unix.Timespec
	if timeout > 0 {
		p.timeout = unix.NsecToTimespec(int64(timeout))
		until = &p.timeout
	}
	_, err := unix.Ppoll(fds[:], until, nil)
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return errno
	}
	return 0
}
