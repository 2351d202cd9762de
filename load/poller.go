//go:build linux

package load

import (
	"errors"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller waits for connections to become ready. Each is registered once, edge
// triggered, for its whole life: a loop reads until there is nothing left, so
// the kernel need not be told about interest again.
type poller struct {
	epfd     int
	wakefd   int
	events   []unix.EpollEvent
	timeout  unix.Timespec
	noPwait2 bool // the kernel is older than 5.11, or a sandbox forbids it
}

// pollBatch is how many events one wait can return.
const pollBatch = 512

const (
	readable = unix.EPOLLIN
	writable = unix.EPOLLOUT
	hungUp   = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR // the peer will send nothing after what it has sent
)

// wakeSlot marks the event of wake.
const wakeSlot = -1

func newPoller() (*poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	p := &poller{epfd: epfd, wakefd: -1, events: make([]unix.EpollEvent, pollBatch)}
	p.wakefd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		p.close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err := p.add(p.wakefd, wakeSlot, 0); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) close() {
	_ = unix.Close(p.epfd)
	if p.wakefd >= 0 {
		_ = unix.Close(p.wakefd)
	}
}

// add registers fd for life. Events of it carry slot and generation, so that
// one of a connection that was closed in the same turn is not mistaken for
// the next one's in its slot.
func (p *poller) add(fd int, slot, generation int32) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: slot, Pad: generation}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epfd, unix.EPOLL_CTL_ADD, fd, &e))
}

// wake ends a wait. Any goroutine may call it.
func (p *poller) wake() {
	one := [8]byte{1} // any number, in any byte order
	// It only fails when the counter is full, and then it has woken already.
	_, _ = unix.Write(p.wakefd, one[:])
}

// wait returns what became ready within timeout, to the nanosecond; negative
// is for ever and 0 does not block. The events are valid until the next wait.
// elapsed tells that nothing came before the timeout: not so after a signal.
func (p *poller) wait(timeout time.Duration) (events []unix.EpollEvent, elapsed bool, err error) {
	n, errno := p.poll(timeout)
	if errno == unix.ENOSYS || errno == unix.EPERM {
		p.noPwait2 = true
		n, errno = p.poll(timeout)
	}
	switch errno {
	case 0:
		return p.events[:n], n == 0, nil
	case unix.EINTR: // Go preempts with signals
		return nil, false, nil
	default:
		return nil, false, os.NewSyscallError("epoll_wait", errno)
	}
}

func (p *poller) poll(timeout time.Duration) (n int, errno unix.Errno) {
	if timeout != 0 && p.noPwait2 {
		// ppoll on the epoll descriptor has the nanoseconds that epoll_wait lacks.
		if errno := p.ppoll(timeout); errno != 0 {
			return 0, errno
		}
		timeout = 0
	}
	if timeout == 0 {
		// It does not block, so the scheduler need not hear of it.
		r, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), pollBatch, 0, 0, 0)
		return int(r), e
	}
	var until unsafe.Pointer
	if timeout > 0 {
		p.timeout = unix.NsecToTimespec(int64(timeout))
		until = unsafe.Pointer(&p.timeout)
	}
	r, _, e := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), pollBatch, uintptr(until), 0, 0)
	return int(r), e
}

func (p *poller) ppoll(timeout time.Duration) unix.Errno {
	fds := [1]unix.PollFd{{Fd: int32(p.epfd), Events: unix.POLLIN}}
	var until *unix.Timespec
	if timeout > 0 {
		p.timeout = unix.NsecToTimespec(int64(timeout))
		until = &p.timeout
	}
	_, err := unix.Ppoll(fds[:], until, nil)
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return 0
}
