//go:build !linux

package meter

import "time"

// CPUTime, MaxResident, ThreadID, ThreadTime, stealTime and stallTime are not known here.
func CPUTime() time.Duration { return 0 }

func ThreadID() int64 { return 0 }

func ThreadTime(int64) time.Duration { return 0 }

func MaxResident() int64 { return 0 }

func stealTime() time.Duration { return -1 }

func stallTime() time.Duration { return -1 }
