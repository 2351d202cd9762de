package main

import (
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/meter"
)

// TestTickLeavesLittleBehind holds what a second of a load allocates to what
// does not show beside 50 million requests: 6 minutes of them leave less than the
// collector waits for.
func TestTickLeavesLittleBehind(t *testing.T) {
	j := &loadJob{url: "http://127.0.0.1/", groups: []string{"a", "b"}, group: []int{0, 1}, plan: load.Plan{
		Routes: make([]load.Route, 2), Schedule: arrivals.Constant(1000, time.Hour),
	}}
	r := &loadRun{loadJob: j, shown: newCourier(newProgress(io.Discard, false, func(string) string { return "" })), pressure: -1}
	defer r.shown.close()
	r.start = time.Now()
	r.stats = load.NewStats(2, r.start)
	r.meter = meter.Start()
	defer r.meter.Stop()
	observe := r.observer(2)
	now := time.Duration(0)
	tick := func() {
		now += time.Second
		for i := range 1000 {
			d := time.Duration(i) * time.Microsecond
			observe(i&1, load.Sample{Route: i % 2, Intended: now, Sent: now + 1000, Done: now + d, Status: 200})
		}
		r.tick(now)
	}
	for range 3 {
		tick()
	}
	const ticks = 50
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range ticks {
		tick()
	}
	runtime.ReadMemStats(&after)
	const most = 3 << 10 // 1.5 KB, and 2 under the race detector; 7 when files were read as a whole
	if got := (after.TotalAlloc - before.TotalAlloc) / ticks; got > most {
		t.Errorf("a second leaves %d bytes behind in %d pieces, want at most %d", got, (after.Mallocs-before.Mallocs)/ticks, most)
	}
}
