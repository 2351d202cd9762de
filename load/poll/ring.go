//go:build linux

package poll

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

// Ring is one io_uring. Only the thread that enabled it may use it.
type Ring struct {
	fd      int
	sq, cq  []byte // the mapped rings; the same if the kernel has one mapping for both
	entries []byte // the mapped submission entries

	sqTail, sqHead *uint32
	sqMask, sqSize uint32
	sqes           []SQE
	tail           uint32 // of what is filled in; sqTail is what the kernel may take
	submitted      uint32

	cqTail, cqHead *uint32
	cqMask         uint32
	cqes           []Completion

	// What the kernel gets the address of. A goroutine's stack may move.
	timeout unix.Timespec
	arg     enterArg
	file    int32
}

type (
	// SQE is struct io_uring_sqe: what the kernel is to do.
	SQE struct {
		Opcode   uint8
		Flags    uint8
		Ioprio   uint16
		Fd       int32
		Off      uint64
		Addr     uint64
		Len      uint32
		OpFlags  uint32
		UserData uint64
		_        [3]uint64
	}
	// Completion is struct io_uring_cqe: what has become of it.
	Completion struct {
		UserData uint64
		Res      int32
		Flags    uint32
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
	OpPollAdd     = 6
	OpAsyncCancel = 14
	OpConnect     = 16
	OpSend        = 26
	OpRecv        = 27

	FixedFile    = 1 << 0 // Flags of an SQE
	BufferSelect = 1 << 5
	SkipSuccess  = 1 << 6

	RecvPollFirst = 1 << 0 // Ioprio of a receive
	RecvMultishot = 1 << 1
	PollMultishot = 1 << 0 // Len of a poll

	CancelAll     = 1 << 0 // OpFlags of a cancel
	CancelFd      = 1 << 1
	CancelFdFixed = 1 << 3

	HasBuffer    = 1 << 0 // Flags of a Completion
	More         = 1 << 1
	SockNonempty = 1 << 2
	BufferShift  = 16

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

// NewRing makes a ring that is not enabled yet.
func NewRing(sqEntries, cqEntries uint32) (u *Ring, err error) {
	p := setupParams{
		cqEntries: cqEntries,
		flags:     setupCQSize | setupClamp | setupDisabled | setupSubmitAll | setupSingleIssuer | setupDeferTaskrun,
	}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(sqEntries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	u = &Ring{fd: int(fd)}
	defer func() {
		if err != nil {
			u.Close()
		}
	}()
	if p.features&featureSingleMmap == 0 || p.features&featureExtArg == 0 {
		return nil, errors.New("io_uring: the kernel is too old")
	}
	const access, shared = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	size := max(p.sqOff.array+p.sqEntries*4, p.cqOff.cqes+p.cqEntries*uint32(unsafe.Sizeof(Completion{})))
	if u.sq, err = unix.Mmap(u.fd, offSQRing, int(size), access, shared); err != nil {
		return nil, os.NewSyscallError("mmap io_uring", err)
	}
	u.cq = u.sq
	if u.entries, err = unix.Mmap(u.fd, offSQEs, int(p.sqEntries)*int(unsafe.Sizeof(SQE{})), access, shared); err != nil {
		return nil, os.NewSyscallError("mmap io_uring entries", err)
	}
	at := func(ring []byte, off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&ring[off])) }
	u.sqHead, u.sqTail, u.sqMask, u.sqSize = at(u.sq, p.sqOff.head), at(u.sq, p.sqOff.tail), *at(u.sq, p.sqOff.ringMask), p.sqEntries
	u.sqes = unsafe.Slice((*SQE)(unsafe.Pointer(&u.entries[0])), p.sqEntries)
	for i, slot := range unsafe.Slice(at(u.sq, p.sqOff.array), p.sqEntries) {
		_ = slot
		*at(u.sq, p.sqOff.array+uint32(i)*4) = uint32(i)
	}
	u.cqHead, u.cqTail, u.cqMask = at(u.cq, p.cqOff.head), at(u.cq, p.cqOff.tail), *at(u.cq, p.cqOff.ringMask)
	u.cqes = unsafe.Slice((*Completion)(unsafe.Pointer(&u.cq[p.cqOff.cqes])), p.cqEntries)
	return u, nil
}

// Close frees the ring; what is under way ends.
func (u *Ring) Close() {
	if u.entries != nil {
		_ = unix.Munmap(u.entries)
	}
	if u.sq != nil {
		_ = unix.Munmap(u.sq)
	}
	_ = unix.Close(u.fd)
}

func (u *Ring) register(op uintptr, arg unsafe.Pointer, n uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(u.fd), op, uintptr(arg), n, 0, 0)
	if errno != 0 {
		return os.NewSyscallError(fmt.Sprintf("io_uring_register %d", op), errno)
	}
	return nil
}

// Files makes room for n connections in the kernel's table of ours: an entry
// with FixedFile names a place there, which costs less than a descriptor.
func (u *Ring) Files(n int) error {
	table := struct {
		n, flags      uint32
		_, data, tags uint64
	}{n: uint32(n), flags: sparse}
	return u.register(registerFiles2, unsafe.Pointer(&table), unsafe.Sizeof(table))
}

// File puts a descriptor into a place of that table; -1 takes out what is there.
func (u *Ring) File(place int32, fd int) error {
	u.file = int32(fd)
	update := struct {
		offset, _ uint32
		fds       uint64
	}{offset: uint32(place), fds: uint64(uintptr(unsafe.Pointer(&u.file)))}
	return u.register(registerFilesUpdate, unsafe.Pointer(&update), 1)
}

// Enable makes the calling thread the one that uses the ring.
func (u *Ring) Enable() error { return u.register(registerEnable, nil, 0) }

// Next returns an empty entry to fill in. It goes to the kernel with the next
// Enter, or now if there is no room for another.
func (u *Ring) Next() *SQE {
	for u.Full() {
		_ = u.Enter(0, false, true)
	}
	e := u.At(u.tail)
	*e = SQE{}
	u.tail++
	return e
}

// Full reports that Next has to hand over what is filled in before it can return.
func (u *Ring) Full() bool { return u.tail-atomic.LoadUint32(u.sqHead) == u.sqSize }

// At is the i-th entry that Next has returned.
func (u *Ring) At(i uint32) *SQE { return &u.sqes[i&u.sqMask] }

// Last is the i of At for the entry that Next has returned last.
func (u *Ring) Last() uint32 { return u.tail - 1 }

// HandedOver reports whether the kernel has taken the i-th entry.
func (u *Ring) HandedOver(i uint32) bool { return int32(i-u.submitted) < 0 }

// Holds makes p the data of a send.
func (e *SQE) Holds(p []byte) {
	e.Addr, e.Len = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))), uint32(len(p))
}

// Enter hands over what is filled in, and waits for a completion if wait is
// true: until timeout, if that is not negative. Go's scheduler is told of the
// wait unless keep is true.
func (u *Ring) Enter(timeout time.Duration, wait, keep bool) unix.Errno {
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
		// What it says of the wait does not say what it took.
		u.submitted = atomic.LoadUint32(u.sqHead)
	}
	return errno
}

// Completed reports whether there is a completion that was not taken.
func (u *Ring) Completed() bool { return *u.cqHead != atomic.LoadUint32(u.cqTail) }

// Take appends all completions to dst.
func (u *Ring) Take(dst []Completion) []Completion {
	head, tail := *u.cqHead, atomic.LoadUint32(u.cqTail)
	for ; head != tail; head++ {
		dst = append(dst, u.cqes[head&u.cqMask])
	}
	atomic.StoreUint32(u.cqHead, head)
	return dst
}

// HasRing reports whether the kernel lets us have a ring: an older one has not
// what we need, and containers mostly forbid it.
func HasRing() bool {
	u, err := NewRing(8, 16)
	if err != nil {
		return false
	}
	defer u.Close()
	b, err := NewBuffers(u, 1, 64)
	if err != nil {
		return false
	}
	b.Close()
	return true
}
