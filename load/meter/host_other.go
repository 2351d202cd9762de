//go:build !linux

package meter

import (
	"runtime"
	"time"
)

// Unmeasured is what of the host this system does not show.
const Unmeasured = "what the host does was measured in part only: " + runtime.GOOS +
	" does not show how long threads wait for a core (pressure), nor what a hypervisor takes (steal)"

// ThreadID, ThreadTime, stealTime, stallTime and runnable are not known here.
func ThreadID() int64 { return 0 }

func ThreadTime(int64) time.Duration { return 0 }

func stealTime() time.Duration { return -1 }

func stallTime() time.Duration { return -1 }

func runnable() int { return -1 }
