package load

import "time"

// A wake-up costs some 10 µs. A loop that has an arrival more often than every
// few of them would spend its core on waking up, and take it from a target on
// the same machine; so it wakes up for several at a time. Seen on two cores:
// where loops that wake up for each held 65,000 requests a second beside their
// nginx, these hold 100,000, and io_uring is cheaper than to coalesce.
const (
	batchingGap   = 50 * time.Microsecond
	batchingEvery = 300 * time.Microsecond
)

// batching reports whether a loop's arrivals come, on average, less than
// batchingGap apart at t. Single ones do by chance at any rate.
func (g *program) batching(t time.Duration) bool {
	return g.Schedule != nil && float64(g.Schedule.Rate(t))*batchingGap.Seconds() > float64(g.of())
}

// everBatching reports whether they do at any time, as far as looking a few hundred
// times shows.
func (g *program) everBatching() bool {
	if g.Schedule == nil {
		return false
	}
	const looks = 256
	for i := range looks {
		if g.batching(g.Schedule.Duration() / looks * time.Duration(i)) {
			return true
		}
	}
	return false
}
