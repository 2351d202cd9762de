package transport

import "golang.org/x/sys/unix"

// BindToDevice has a socket take what comes by a network device, and nothing else.
func BindToDevice(fd int, device string) error { return unix.BindToDevice(fd, device) }
