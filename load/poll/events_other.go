//go:build !linux

package poll

// What events tell; they are ours, not the kernel's.
const (
	Readable = 1 << iota
	Writable
	Broken // the peer has reset the connection, or the path has
	closed

	HungUp = closed | Broken // the peer will send nothing after what it has sent
)

// WakeSlot marks the event of a wake.
const WakeSlot = -1
