//go:build !linux && !darwin

package transport

import "syscall"

// HungUp is not known here: an end shows when it is read.
func HungUp(syscall.RawConn) bool { return false }

// Unsent is not known here.
func Unsent(syscall.RawConn) bool { return false }
