package proc

import "time"

// CPU is 0: sysctl(3) does not say what a process has used.
func CPU(int) time.Duration { return 0 }
