//go:build !linux

package poll

// SharpenTimer does nothing here.
func SharpenTimer() {}
