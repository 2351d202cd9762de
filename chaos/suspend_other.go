//go:build !linux

package chaos

import "time"

// asleep is for how long the machine was suspended since it was booted, where that is
// known.
func asleep() time.Duration { return 0 }
