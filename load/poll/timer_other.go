//go:build !linux

package poll

import "time"

// SharpenTimer does nothing here.
func SharpenTimer() {}

// Sleep is time.Sleep.
func Sleep(d time.Duration) (whole bool) { time.Sleep(d); return true }
