//go:build unix

package load

import "syscall"

// starving is what a dial ends with for want of something of this host's.
var starving = [...]syscall.Errno{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ENOSPC, syscall.EADDRNOTAVAIL, syscall.EAGAIN,
}

// timedOut is what a dial ends with that nobody has answered.
const timedOut = syscall.ETIMEDOUT
