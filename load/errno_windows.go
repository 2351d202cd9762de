package load

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// starving is what a dial ends with for want of something of this host's.
var starving = [...]syscall.Errno{windows.WSAEMFILE, windows.WSAENOBUFS, windows.WSAEADDRNOTAVAIL, windows.WSAEADDRINUSE}

// timedOut is what a dial ends with that nobody has answered.
const timedOut = windows.WSAETIMEDOUT
