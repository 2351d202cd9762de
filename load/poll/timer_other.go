//go:build !linux

package poll

import "time"

// MinimizeTimerSlack does nothing here.
func MinimizeTimerSlack() {}

// Sleep is time.Sleep.
func Sleep(d time.Duration) (whole bool) { time.Sleep(d); return true }
