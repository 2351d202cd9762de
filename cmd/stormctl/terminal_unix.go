//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// brokenPipe is what a write fails with once nobody reads.
const brokenPipe = unix.EPIPE

// columnsOf is how many characters a terminal is wide; false if it is none.
func columnsOf(f *os.File) (width int, ok bool) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return int(size.Col), true
}
