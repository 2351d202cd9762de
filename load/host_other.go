//go:build !linux

package load

import "time"

func nanosleep(d time.Duration) (whole bool) { time.Sleep(d); return true }

// CPUTime, MaxResident, threadTime, stealTime and stallTime are not known here.
func CPUTime() time.Duration { return 0 }

func threadID() int64 { return 0 }

func threadTime(int64) time.Duration { return 0 }

func MaxResident() int64 { return 0 }

func stealTime() time.Duration { return -1 }

func stallTime() time.Duration { return -1 }

func raiseFileLimit() {}
