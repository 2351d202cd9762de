package adhoc

import (
	"runtime"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
)

// TestSecondLeavesLittleBehind holds what a second of a load allocates to what
// does not show beside 50 million requests: 6 minutes of them leave less than the
// collector waits for.
func TestSecondLeavesLittleBehind(t *testing.T) {
	j := &Job{URL: "http://127.0.0.1/", Groups: []string{"a", "b"}, Group: []int{0, 1}, Plan: load.Plan{
		Routes: make([]load.Route, 2), Schedule: arrivals.Constant(1000, time.Hour), Loops: 2,
	}}
	r, err := Open(j, func(chaos.Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	r.watch.Begin(time.Now(), load.NewStats(2, time.Now()))
	defer r.watch.Close()
	r.watch.Stop()
	observe := r.observer()
	now := time.Duration(0)
	second := func() {
		now += time.Second
		for i := range 1000 {
			d := time.Duration(i) * time.Microsecond
			observe(i&1, load.Sample{Route: i % 2, Intended: now, Sent: now + 1000, Done: now + d, Status: 200})
		}
		r.watch.Rest(now)
	}
	for range 3 {
		second()
	}
	if n := testing.AllocsPerRun(1000, func() { observe(0, load.Sample{Done: 1000}) }); n != 0 {
		t.Errorf("a sample takes %v allocations", n)
	}
	const seconds = 50
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range seconds {
		second()
	}
	runtime.ReadMemStats(&after)
	const most = 3 << 10 // 1.5 KB, and 2 under the race detector; 7 when files were read as a whole
	if got := (after.TotalAlloc - before.TotalAlloc) / seconds; got > most {
		t.Errorf("a second leaves %d bytes behind in %d pieces, want at most %d", got, (after.Mallocs-before.Mallocs)/seconds, most)
	}
}
