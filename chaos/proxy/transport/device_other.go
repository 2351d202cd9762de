//go:build !linux

package transport

import "errors"

// BindToDevice is of Linux alone.
func BindToDevice(int, string) error { return errors.ErrUnsupported }
