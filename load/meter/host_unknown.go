//go:build !linux && !darwin

package meter

import "time"

// CPUTime and MaxResident are not known here.
func CPUTime() time.Duration { return 0 }

func MaxResident() int64 { return 0 }
