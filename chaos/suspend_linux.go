package chaos

import (
	"time"

	"golang.org/x/sys/unix"
)

// suspended is for how long the machine was suspended since it was booted: our clock stood
// still meanwhile.
func suspended() time.Duration {
	var all, awake unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &all) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake) != nil {
		return 0
	}
	return time.Duration(all.Nano() - awake.Nano())
}
