//go:build linux

package load

import (
	"fmt"
	"math"
	"net"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/stormctl/stormctl/load/poll"
)

// ioUring is the transport on io_uring: it tells the kernel what is to be sent
// and hears of what has come, all with one system call per turn.
//
// Each connection has one receive that goes on until it is cancelled and puts
// what comes into buffers that all connections share. A send is told of only if
// it fails, where it is small and nothing is sent behind it before the answer.
type ioUring struct {
	loop    *loop
	ring    *poll.Ring
	buffers *poll.Buffers
	to      [][]rawAddress // by pool.index, and in the order of pool.addresses
	wakefd  int
	enabled bool
	poll.WaitStrategy
	done []poll.Completion
}

// rawAddress is an address as the kernel reads it.
type rawAddress struct {
	address
	raw unix.RawSockaddrAny
	len uint32
}

const (
	submissionEntries = 1 << 12
	completionEntries = 1 << 14
	recvBuffers       = 1 << 8
	recvSize          = 16 << 10
	smallSend         = 4 << 10 // always fits into a socket's buffer that is empty
)

// What a completion is about, in the lowest bits of its user data; above are
// 24 bits of the connection's generation and 32 of its slot.
const (
	doneConnect = iota
	doneReceive
	doneSend
	doneWake
	doneCancel
)

func (c *conn) tag(done uint64) uint64 {
	return uint64(c.slot)<<32 | uint64(c.generation&0xffffff)<<8 | done
}

func newIOUring(l *loop) (t transport, err error) {
	s := &ioUring{loop: l, wakefd: -1}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	files := 0 // places in the kernel's table of our connections
	for i := range l.pools {
		var all []rawAddress
		for _, e := range l.pools[i].addresses {
			a, err := addressOf(e)
			if err != nil {
				return nil, err
			}
			raw, err := rawOf(a)
			if err != nil {
				return nil, err
			}
			all = append(all, raw)
		}
		s.to = append(s.to, all)
		files += l.pools[i].limit
	}
	if s.ring, err = poll.NewRing(submissionEntries, completionEntries); err != nil {
		return nil, err
	}
	if s.buffers, err = poll.NewBuffers(s.ring, recvBuffers, recvSize); err != nil {
		return nil, err
	}
	// No more can be open, and the kernel gives no larger table.
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, os.NewSyscallError("getrlimit", err)
	}
	files = min(files, int(min(limit.Cur, math.MaxInt32)))
	if err := s.ring.Files(files); err != nil {
		return nil, err
	}
	if s.wakefd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return s, nil
}

func rawOf(a address) (rawAddress, error) {
	r := rawAddress{address: a}
	put := func(b []byte, family uint16) {
		p := unsafe.Slice((*byte)(unsafe.Pointer(&r.raw)), unsafe.Sizeof(r.raw))
		*(*uint16)(unsafe.Pointer(&p[0])) = family
		copy(p[2:], b)
		r.len = uint32(2 + len(b))
	}
	switch to := a.to.(type) {
	case *unix.SockaddrInet4:
		b := make([]byte, 14)
		b[0], b[1] = byte(to.Port>>8), byte(to.Port)
		copy(b[2:], to.Addr[:])
		put(b, unix.AF_INET)
	case *unix.SockaddrInet6:
		b := make([]byte, 26)
		b[0], b[1] = byte(to.Port>>8), byte(to.Port)
		copy(b[6:], to.Addr[:])
		*(*uint32)(unsafe.Pointer(&b[22])) = to.ZoneId
		put(b, unix.AF_INET6)
	case *unix.SockaddrUnix:
		b := append([]byte(to.Name), 0)
		if b[0] == '@' { // an abstract name starts with a zero byte and has none at its end
			b[0] = 0
			b = b[:len(b)-1]
		}
		put(b, unix.AF_UNIX)
	default:
		return r, fmt.Errorf("address %v is of an unknown kind", a.to)
	}
	return r, nil
}

func (t *ioUring) stop() {
	if t.ring != nil {
		t.ring.Close()
	}
	if t.buffers != nil {
		t.buffers.Close()
	}
	if t.wakefd >= 0 {
		_ = unix.Close(t.wakefd)
	}
}

func (t *ioUring) wake() {
	one := [8]byte{1} // any number, in any byte order
	_, _ = unix.Write(t.wakefd, one[:])
}

// begin makes the calling thread, which is the loop's own, the one that uses
// the ring.
func (t *ioUring) begin() error {
	if t.enabled {
		return nil
	}
	t.enabled = true
	if err := t.ring.Enable(); err != nil {
		return err
	}
	t.awaitWake()
	return nil
}

func (t *ioUring) awaitWake() {
	e := t.ring.Next()
	e.Opcode, e.Fd, e.Len, e.OpFlags, e.UserData = poll.OpPollAdd, int32(t.wakefd), poll.PollMultishot, unix.POLLIN, doneWake
}

func (t *ioUring) dial(c *conn) {
	c.fd, c.sending, c.unwritten = -1, false, c.unwritten[:0]
	if err := t.begin(); err != nil {
		t.loop.dialFailed(c, err)
		return
	}
	to := &t.to[c.pool.index][c.pool.turn()]
	// It must block: io_uring takes a socket that does not at its word, and
	// says EAGAIN instead of waiting.
	fd, err := unix.Socket(to.family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.loop.dialFailed(c, err)
		return
	}
	c.fd = fd
	poll.Tune(fd, to.to)
	if err := t.ring.File(c.slot, fd); err != nil {
		t.loop.dialFailed(c, err)
		return
	}
	e := t.ring.Next()
	e.Opcode, e.Flags, e.Fd, e.UserData = poll.OpConnect, poll.FixedFile, c.slot, c.tag(doneConnect)
	e.Addr, e.Off = uint64(uintptr(unsafe.Pointer(&to.raw))), uint64(to.len)
}

func (t *ioUring) adopt(c *conn, from net.Conn) error {
	c.sending, c.unwritten = false, c.unwritten[:0]
	if err := t.begin(); err != nil {
		return err
	}
	var err error
	if c.fd, err = takeDescriptor(from); err != nil {
		return err
	}
	if err := unix.SetNonblock(c.fd, false); err != nil { // see dial
		return os.NewSyscallError("fcntl", err)
	}
	if err := t.ring.File(c.slot, c.fd); err != nil {
		return err
	}
	t.receive(c)
	return nil
}

func (t *ioUring) receive(c *conn) {
	e := t.ring.Next()
	e.Opcode, e.Flags, e.Ioprio = poll.OpRecv, poll.FixedFile|poll.BufferSelect, poll.RecvMultishot|poll.RecvPollFirst
	e.Fd, e.UserData = c.slot, c.tag(doneReceive)
}

func (t *ioUring) close(c *conn) {
	if c.fd < 0 {
		return
	}
	// What is under way holds the socket open, and reads c.out: it ends before
	// the place in the table is given away.
	e := t.ring.Next()
	e.Opcode, e.Flags, e.Fd, e.UserData = poll.OpAsyncCancel, poll.SkipSuccess, c.slot, doneCancel
	e.OpFlags = poll.CancelAll | poll.CancelFd | poll.CancelFdFixed
	_ = t.ring.Enter(0, false, true)
	_ = t.ring.File(c.slot, -1)
	_ = unix.Close(c.fd)
	c.fd, c.sending = -1, false
}

func (t *ioUring) send(c *conn, p []byte) bool {
	switch {
	case !c.sending:
		c.out = append(c.out[:0], p...)
		t.flush(c, len(p) <= smallSend && c.tls == nil && !c.sendsControl && c.pool.codec.concurrency() == 1)
	case t.ring.HandedOver(c.entry):
		c.unwritten = append(c.unwritten, p...)
	default: // the kernel does not know of it yet: let it be more
		c.out = append(c.out, p...)
		t.ring.At(c.entry).Holds(c.out)
	}
	return true
}

// flush sends what is in c.out, which must not be touched before that is done.
// A quiet send is done when the peer has answered: nothing else is sent before.
func (t *ioUring) flush(c *conn, quiet bool) {
	e := t.ring.Next()
	e.Opcode, e.Flags, e.Fd, e.UserData, e.OpFlags = poll.OpSend, poll.FixedFile, c.slot, c.tag(doneSend),
		unix.MSG_NOSIGNAL|unix.MSG_WAITALL
	e.Holds(c.out)
	if quiet {
		e.Flags |= poll.SkipSuccess
	} else {
		c.sending, c.entry = true, t.ring.Last()
	}
}

func (t *ioUring) wait(timeout time.Duration) (elapsed bool, err error) {
	if err := t.begin(); err != nil {
		return false, err
	}
	wait, keep := t.Next(timeout)
	switch errno := t.ring.Enter(wait, wait != 0 && !t.ring.Completed(), keep); errno {
	case 0, unix.EINTR, unix.EAGAIN, unix.EBUSY: // the last two: take completions first
		t.Idle = false
	case unix.ETIME:
		elapsed = t.Was(timeout, wait, true)
	default:
		return false, os.NewSyscallError("io_uring_enter", errno)
	}
	t.done = t.ring.Take(t.done[:0])
	return elapsed, nil
}

func (t *ioUring) deliver() {
	// First what the peer has closed: it must be out of use before a request is
	// written to it in the same turn.
	for i := range t.done {
		d := &t.done[i]
		c := t.connOf(d.UserData)
		if c == nil || d.UserData&0xff != doneReceive || d.Res > 0 || d.Res == -int32(unix.ENOBUFS) {
			continue
		}
		c.peerDone = true
		c.pool.withdraw(c)
	}
	for i := range t.done {
		t.complete(&t.done[i])
		// A batch can take milliseconds: arrivals do not wait for its end.
		t.loop.sendDue()
	}
	t.done = t.done[:0]
}

// connOf returns the connection that a completion is about, nil if it is gone.
func (t *ioUring) connOf(tag uint64) *conn {
	if done := tag & 0xff; done == doneWake || done == doneCancel {
		return nil
	}
	c := t.loop.conns[tag>>32]
	if c.state == unused || uint64(c.generation&0xffffff) != tag>>8&0xffffff {
		return nil
	}
	return c
}

func (t *ioUring) complete(d *poll.Completion) {
	c := t.connOf(d.UserData)
	switch d.UserData & 0xff {
	case doneWake:
		var count [8]byte
		_, _ = unix.Read(t.wakefd, count[:])
		if d.Flags&poll.More == 0 {
			t.awaitWake()
		}
	case doneConnect:
		switch {
		case c == nil:
		case d.Res < 0:
			t.loop.dialFailed(c, unix.Errno(-d.Res))
		default:
			t.receive(c)
			t.loop.opened(c)
		}
	case doneSend:
		if c != nil {
			t.sent(c, d.Res)
		}
	case doneReceive:
		t.received(c, d)
	}
}

// sent goes on when a send has ended.
func (t *ioUring) sent(c *conn, res int32) {
	c.sending = false
	if res < 0 {
		c.peerDone = true // it may have answered before it stopped to read: that receive tells
		if len(c.inFlight) == 0 {
			t.loop.broken(c)
		}
		return
	}
	c.out = c.out[:copy(c.out, c.out[res:])]
	c.out = append(c.out, c.unwritten...)
	c.unwritten = c.unwritten[:0]
	if len(c.out) > 0 {
		t.flush(c, false)
	}
}

func (t *ioUring) received(c *conn, d *poll.Completion) {
	if d.Flags&poll.HasBuffer != 0 {
		id := uint16(d.Flags >> poll.BufferShift)
		if c != nil && d.Res > 0 {
			generation := c.generation
			t.loop.received(c, t.buffers.Bytes(id, int(d.Res)), d.Flags&poll.SockNonempty != 0)
			if c.generation != generation {
				c = nil
			}
		}
		t.buffers.Give(id)
	}
	switch {
	case c == nil:
	case d.Res == 0:
		t.loop.ended(c)
	case d.Res < 0 && d.Res != -int32(unix.ENOBUFS):
		t.loop.broken(c)
	case d.Flags&poll.More == 0:
		t.receive(c)
	}
}
