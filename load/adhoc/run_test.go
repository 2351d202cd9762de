package adhoc

import (
	"runtime"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/arrivals"
	"github.com/stormctl/stormctl/load/meter"
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
	r.watch.Begin(time.Now(), load.NewStats(2, time.Now()), meter.Often)
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

// A load that ends with a second shows no piece of nothing behind it, and one that does not
// shows no rate that never was.
func TestLastPieceOfALoad(t *testing.T) {
	var shown []chaos.Progress
	j := &Job{URL: "http://127.0.0.1/", Groups: []string{"a"}, Group: []int{0}, Plan: load.Plan{
		Routes: make([]load.Route, 1), Schedule: arrivals.Constant(100, 2500*time.Millisecond), Loops: 1,
	}}
	r, err := Open(j, func(p chaos.Progress) { shown = append(shown, p) })
	if err != nil {
		t.Fatal(err)
	}
	r.watch.Begin(time.Now(), load.NewStats(1, time.Now()), meter.Often)
	defer r.watch.Close()
	r.watch.Stop()
	observe := r.observer()
	for _, piece := range []struct {
		at    time.Duration
		ended int
	}{{time.Second, 100}, {2 * time.Second, 100}, {2250 * time.Millisecond, 25}, {2500 * time.Millisecond, 25}, {2503 * time.Millisecond, 0}} {
		for range piece.ended {
			observe(0, load.Sample{Intended: piece.at, Sent: piece.at, Done: piece.at + 1, Status: 200})
		}
		r.watch.Rest(piece.at)
	}
	if len(shown) != 4 {
		t.Errorf("%d pieces are shown, want 4", len(shown))
	}
	for _, p := range shown {
		if p.Offered < 99.9 || p.Offered > 100.1 || p.Achieved < 99.9 || p.Achieved > 100.1 {
			t.Errorf("at %v %v/s (%v), want 100/s (100)", p.At, p.Offered, p.Achieved)
		}
	}
}
