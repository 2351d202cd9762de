//go:build linux

package poll

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Buffers is memory that the kernel puts into what it receives, shared by
// all connections: one that waits for an answer holds none.
type Buffers struct {
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

// NewBuffers gives a ring count buffers of size bytes each.
func NewBuffers(u *Ring, count uint16, size int) (*Buffers, error) {
	anonymous := func(n int) ([]byte, error) {
		b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		return b, os.NewSyscallError("mmap", err)
	}
	b := &Buffers{count: count, size: size}
	var err error
	if b.ring, err = anonymous(max(int(count)*bufSize, os.Getpagesize())); err != nil {
		return nil, err
	}
	if b.data, err = anonymous(int(count) * size); err != nil {
		b.Close()
		return nil, err
	}
	reg := pbufReg{addr: uint64(uintptr(unsafe.Pointer(&b.ring[0]))), entries: uint32(count)}
	if err := u.register(registerPbufRing, unsafe.Pointer(&reg), 1); err != nil {
		b.Close()
		return nil, err
	}
	for id := range count {
		b.Give(id)
	}
	return b, nil
}

// Close frees them; the ring has been closed.
func (b *Buffers) Close() {
	if b.data != nil {
		_ = unix.Munmap(b.data)
	}
	_ = unix.Munmap(b.ring)
}

// Bytes are the first n of a buffer.
func (b *Buffers) Bytes(id uint16, n int) []byte { return b.data[int(id)*b.size:][:n:n] }

// Give hands a buffer to the kernel, again.
func (b *Buffers) Give(id uint16) {
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
