//go:build !linux

package chaos

import "time"

// suspended is for how long the machine was suspended since it was booted, where that is
// known.
func suspended() time.Duration { return 0 }
