//go:build !linux

package load

import "time"

func sharpenTimer() {}

func nanosleep(d time.Duration) { time.Sleep(d) }

// cpuTime, stealTime and stallTime are not known here.
func cpuTime() time.Duration { return 0 }

func stealTime() time.Duration { return -1 }

func stallTime() time.Duration { return -1 }
