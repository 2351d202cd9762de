//go:build unix

package transport

import "golang.org/x/sys/unix"

// handOver gives the kernel what it takes now.
func handOver(fd uintptr, p []byte) { _, _ = unix.Write(int(fd), p) }
