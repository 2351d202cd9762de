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
	patience
}

// patience decides how a loop waits. Told of a system call that blocks, Go's
// scheduler takes the thread's P away, and its monitor thread, which has just
// found something to do, looks again 20 µs later: at 100,000 requests a second
// that was a quarter of our CPU time. So a loop that has something to do most
// of the time keeps its P, for which Run provides one more, and tells the
// scheduler only once nothing has come for shortWait.
//
// To stop the world Go signals the thread, which ends the wait; where signals
// are switched off (GODEBUG=asyncpreemptoff=1) it takes shortWait at most.
type patience struct {
	idle bool // nothing came in the last wait, and it was shortWait
}

const shortWait = 10 * time.Millisecond

// next returns how long to wait now, and whether without telling the scheduler.
func (p *patience) next(timeout time.Duration) (wait time.Duration, keep bool) {
	if p.idle {
		return timeout, false
	}
	if timeout < 0 || timeout > shortWait {
		timeout = shortWait
	}
	return timeout, true
}

// was is told what came of a wait, and returns whether the timeout that was
// asked for is over.
func (p *patience) was(timeout, wait time.Duration, nothing bool) (elapsed bool) {
	p.idle = nothing && (p.idle || wait == shortWait)
	return nothing && wait == timeout
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
	wait, keep := p.next(timeout)
	n, errno := p.poll(wait, keep)
	if errno == unix.ENOSYS || errno == unix.EPERM {
		p.noPwait2 = true
		n, errno = p.poll(wait, keep)
	}
	switch errno {
	case 0:
		return p.events[:n], p.was(timeout, wait, n == 0), nil
	case unix.EINTR: // Go preempts with signals
		return nil, false, nil
	default:
		return nil, false, os.NewSyscallError("epoll_wait", errno)
	}
}

func (p *poller) poll(timeout time.Duration, keep bool) (n int, errno unix.Errno) {
	if timeout != 0 && p.noPwait2 {
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
		r, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), pollBatch, uintptr(until), 0, 0)
	default:
		r, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), pollBatch, uintptr(until), 0, 0)
	}
	return int(r), errno
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
