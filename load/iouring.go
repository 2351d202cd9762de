//go:build linux

package load

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file is io_uring as far as we need it: two rings shared with the kernel,
// by raw system calls (io_uring(7), io_uring_setup(2), io_uring_enter(2)).

// uring is one io_uring. Only the thread that enabled it may use it.
type uring struct {
	fd      int
	sq, cq  []byte // the mapped rings; the same if the kernel has one mapping for both
	entries []byte // the mapped submission entries

	sqTail, sqHead *uint32
	sqMask, sqSize uint32
	sqes           []sqe
	tail           uint32 // of what is filled in; sqTail is what the kernel may take
	submitted      uint32

	cqTail, cqHead *uint32
	cqMask         uint32
	cqes           []cqe

	timeout unix.Timespec
	arg     enterArg
}

type (
	// sqe is struct io_uring_sqe.
	sqe struct {
		opcode   uint8
		flags    uint8
		ioprio   uint16
		fd       int32
		off      uint64
		addr     uint64
		len      uint32
		opFlags  uint32
		userData uint64
		bufGroup uint16
		_        uint16
		_        int32
		_        [2]uint64
	}
	// cqe is struct io_uring_cqe.
	cqe struct {
		userData uint64
		res      int32
		flags    uint32
	}
	// enterArg is struct io_uring_getevents_arg.
	enterArg struct {
		sigmask   uint64
		sigmaskSz uint32
		_         uint32
		timeout   uint64
	}
	// setupParams is struct io_uring_params.
	setupParams struct {
		sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFd uint32
		_                                                                      [3]uint32
		sqOff                                                                  struct {
			head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
			_                                                           uint64
		}
		cqOff struct {
			head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
			_                                                           uint64
		}
	}
)

// From the kernel's include/uapi/linux/io_uring.h.
const (
	opPollAdd     = 6
	opAsyncCancel = 14
	opConnect     = 16
	opSend        = 26
	opRecv        = 27

	sqeFixedFile    = 1 << 0
	sqeBufferSelect = 1 << 5
	sqeSkipSuccess  = 1 << 6

	recvPollFirst = 1 << 0 // ioprio of a receive
	recvMultishot = 1 << 1
	pollMultishot = 1 << 0 // len of a poll

	cancelAll     = 1 << 0 // opFlags of a cancel
	cancelFd      = 1 << 1
	cancelFdFixed = 1 << 3

	cqeBuffer       = 1 << 0
	cqeMore         = 1 << 1
	cqeSockNonempty = 1 << 2
	cqeBufferShift  = 16

	setupCQSize       = 1 << 3
	setupClamp        = 1 << 4
	setupDisabled     = 1 << 6
	setupSubmitAll    = 1 << 7
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13

	featureSingleMmap = 1 << 0
	featureExtArg     = 1 << 8

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	registerFilesUpdate = 6
	registerEnable      = 12
	registerFiles2      = 13
	registerPbufRing    = 22
	sparse              = 1 << 0

	offSQRing = 0
	offCQRing = 0x8000000
	offSQEs   = 0x10000000
)

// newUring makes a ring that is not enabled yet.
func newUring(sqEntries, cqEntries uint32) (u *uring, err error) {
	p := setupParams{cqEntries: cqEntries, flags: setupCQSize | setupClamp | setupDisabled | setupSubmitAll | setupSingleIssuer | setupDeferTaskrun}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(sqEntries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	u = &uring{fd: int(fd)}
	defer func() {
		if err != nil {
			u.close()
		}
	}()
	if p.features&featureSingleMmap == 0 || p.features&featureExtArg == 0 {
		return nil, errors.New("io_uring: the kernel is too old")
	}
	size := max(p.sqOff.array+p.sqEntries*4, p.cqOff.cqes+p.cqEntries*uint32(unsafe.Sizeof(cqe{})))
	if u.sq, err = unix.Mmap(u.fd, offSQRing, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return nil, os.NewSyscallError("mmap io_uring", err)
	}
	u.cq = u.sq
	if u.entries, err = unix.Mmap(u.fd, offSQEs, int(p.sqEntries)*int(unsafe.Sizeof(sqe{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return nil, os.NewSyscallError("mmap io_uring entries", err)
	}
	at := func(ring []byte, off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&ring[off])) }
	u.sqHead, u.sqTail, u.sqMask, u.sqSize = at(u.sq, p.sqOff.head), at(u.sq, p.sqOff.tail), *at(u.sq, p.sqOff.ringMask), p.sqEntries
	u.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&u.entries[0])), p.sqEntries)
	for i, slot := range unsafe.Slice(at(u.sq, p.sqOff.array), p.sqEntries) {
		_ = slot
		*at(u.sq, p.sqOff.array+uint32(i)*4) = uint32(i)
	}
	u.cqHead, u.cqTail, u.cqMask = at(u.cq, p.cqOff.head), at(u.cq, p.cqOff.tail), *at(u.cq, p.cqOff.ringMask)
	u.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(&u.cq[p.cqOff.cqes])), p.cqEntries)
	return u, nil
}

func (u *uring) close() {
	if u.entries != nil {
		_ = unix.Munmap(u.entries)
	}
	if u.sq != nil {
		_ = unix.Munmap(u.sq)
	}
	_ = unix.Close(u.fd)
}

func (u *uring) register(op uintptr, arg unsafe.Pointer, n uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(u.fd), op, uintptr(arg), n, 0, 0)
	if errno != 0 {
		return os.NewSyscallError(fmt.Sprintf("io_uring_register %d", op), errno)
	}
	return nil
}

// enable makes the calling thread the one that uses the ring.
func (u *uring) enable() error { return u.register(registerEnable, nil, 0) }

// next returns an empty entry to fill in. It goes to the kernel with the next
// enter, or now if there is no room for another.
func (u *uring) next() *sqe {
	for u.tail-atomic.LoadUint32(u.sqHead) == u.sqSize {
		_ = u.enter(0, false, true)
	}
	e := u.at(u.tail)
	*e = sqe{}
	u.tail++
	return e
}

// at is the entry that next has returned as the i-th.
func (u *uring) at(i uint32) *sqe { return &u.sqes[i&u.sqMask] }

// handedOver tells whether the kernel has taken the i-th entry.
func (u *uring) handedOver(i uint32) bool { return int32(i-u.submitted) < 0 }

// holds makes p what a send sends.
func (e *sqe) holds(p []byte) {
	e.addr, e.len = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))), uint32(len(p))
}

// enter hands over what is filled in, and waits for a completion if wait is
// true: until timeout, if that is not negative. Go's scheduler is told of the
// wait unless keep is true.
func (u *uring) enter(timeout time.Duration, wait, keep bool) unix.Errno {
	atomic.StoreUint32(u.sqTail, u.tail)
	n := u.tail - u.submitted
	flags, least, arg, size := uintptr(enterGetEvents), uintptr(0), uintptr(0), uintptr(0)
	var r uintptr
	var errno unix.Errno
	if wait {
		least = 1
		u.arg = enterArg{}
		if timeout >= 0 {
			u.timeout = unix.NsecToTimespec(int64(timeout))
			u.arg.timeout = uint64(uintptr(unsafe.Pointer(&u.timeout)))
			flags |= enterExtArg
			arg, size = uintptr(unsafe.Pointer(&u.arg)), unsafe.Sizeof(u.arg)
		}
	}
	if wait && !keep {
		r, _, errno = unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(u.fd), uintptr(n), least, flags, arg, size)
	} else {
		r, _, errno = unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(u.fd), uintptr(n), least, flags, arg, size)
	}
	if errno == 0 {
		u.submitted += uint32(r)
	} else {
		// What it says of the wait does not tell what it took.
		u.submitted = atomic.LoadUint32(u.sqHead)
	}
	return errno
}

// completed tells whether there is a completion that was not taken.
func (u *uring) completed() bool { return *u.cqHead != atomic.LoadUint32(u.cqTail) }

// take appends all completions to dst.
func (u *uring) take(dst []cqe) []cqe {
	head, tail := *u.cqHead, atomic.LoadUint32(u.cqTail)
	for ; head != tail; head++ {
		dst = append(dst, u.cqes[head&u.cqMask])
	}
	atomic.StoreUint32(u.cqHead, head)
	return dst
}

// bufferRing is memory that the kernel puts into what it receives, shared by
// all connections: one that waits for an answer holds none.
type bufferRing struct {
	ring  []byte // of struct io_uring_buf
	data  []byte
	count uint16 // a power of two
	size  int
	tail  uint16
}

// pbufReg is struct io_uring_buf_reg.
type pbufReg struct {
	addr    uint64
	entries uint32
	group   uint16
	flags   uint16
	_       [3]uint64
}

const bufSize = 16 // of struct io_uring_buf

func newBufferRing(u *uring, count uint16, size int) (*bufferRing, error) {
	anonymous := func(n int) ([]byte, error) {
		b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		return b, os.NewSyscallError("mmap", err)
	}
	b := &bufferRing{count: count, size: size}
	var err error
	if b.ring, err = anonymous(max(int(count)*bufSize, os.Getpagesize())); err != nil {
		return nil, err
	}
	if b.data, err = anonymous(int(count) * size); err != nil {
		b.close()
		return nil, err
	}
	reg := pbufReg{addr: uint64(uintptr(unsafe.Pointer(&b.ring[0]))), entries: uint32(count)}
	if err := u.register(registerPbufRing, unsafe.Pointer(&reg), 1); err != nil {
		b.close()
		return nil, err
	}
	for id := range count {
		b.give(id)
	}
	return b, nil
}

func (b *bufferRing) close() {
	if b.data != nil {
		_ = unix.Munmap(b.data)
	}
	_ = unix.Munmap(b.ring)
}

// bytes are the first n of a buffer.
func (b *bufferRing) bytes(id uint16, n int) []byte { return b.data[int(id)*b.size:][:n:n] }

// give hands a buffer to the kernel, again.
func (b *bufferRing) give(id uint16) {
	e := unsafe.Pointer(&b.ring[int(b.tail&(b.count-1))*bufSize])
	*(*uint64)(e) = uint64(uintptr(unsafe.Pointer(&b.data[int(id)*b.size])))
	*(*uint32)(unsafe.Add(e, 8)) = uint32(b.size)
	*(*uint16)(unsafe.Add(e, 12)) = id
	b.tail++
	// The ring's tail is the last field of its first entry. Go has no atomic of
	// 16 bits; on the machines that this runs on a store of them is one
	// instruction, and the system call that follows orders it.
	*(*uint16)(unsafe.Pointer(&b.ring[14])) = b.tail
}

// hasIOURing tells whether the kernel lets us have a ring: an older one has not
// what we need, and containers mostly forbid it.
func hasIOURing() bool {
	u, err := newUring(8, 16)
	if err != nil {
		return false
	}
	defer u.close()
	b, err := newBufferRing(u, 1, 64)
	if err != nil {
		return false
	}
	b.close()
	return true
}
