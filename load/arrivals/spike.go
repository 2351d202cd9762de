package arrivals

import (
	"time"

	"golang.org/x/time/rate"
)

// Spike offers base for duration, but peak from at on, for long. What would lie
// outside the duration is cut off.
//
//	rate         ┌─long─┐
//	  │   base   │      │
//	  │──────────┘ peak └──────────
//	  └──────────┴at────────────────▶ time
func Spike(base, peak rate.Limit, at, long, duration time.Duration) Schedule {
	duration = max(0, duration)
	at = min(max(0, at), duration)
	long = min(max(0, long), duration-at)
	return Stages([]Stage{{To: base, Hold: at}, {To: peak, Hold: long}, {To: base, Hold: duration - at - long}}, Spacing{})
}
