package chaos

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
)

func TestTrackerTellsWhatIsInForce(t *testing.T) {
	var told []Progress
	tracker := newTracker(&experiment.Experiment{Name: "x"}, 0, func(p Progress) { told = append(told, p) })
	tracker.phase("chaos", "begins")
	tracker.injected(1, "second", 4*time.Second, nil)
	tracker.injected(0, "first", 4001*time.Millisecond, nil)
	tracker.healed(1, "second", 5*time.Second, nil)
	tracker.tick(6*time.Second, evidence.Tick{Offered: 100, Ended: 90, Routes: map[string][load.Outcomes]uint64{"pay": {load.OK: 45, load.ServerError: 45}}})
	last := told[len(told)-1]
	if len(told) != 5 || last.Event != "" || last.Phase != "chaos" || len(last.Faults) != 1 || last.Faults[0] != "first" || last.Success != 0.5 || last.At != 6*time.Second {
		t.Errorf("told %d times, last %+v", len(told), last)
	}
	if two := told[2]; len(two.Faults) != 2 || two.Faults[0] != "first" || two.Event != "injected first" || two.At != 4001*time.Millisecond {
		t.Errorf("third %+v", two)
	}
}

// An event is told at its own time, not at that of the second before it: the one
// of the timeline, or the present.
func TestTrackerTellsEventsAtTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []time.Duration
		tracker := newTracker(&experiment.Experiment{Name: "x"}, 10*time.Second, func(p Progress) { told = append(told, p.At) })
		tracker.event("before the load")
		tracker.begin(time.Now().Add(time.Second))
		tracker.phase("warm-up", "the warm-up begins")
		time.Sleep(4 * time.Second)
		tracker.tick(3*time.Second, evidence.Tick{})
		time.Sleep(500 * time.Millisecond)
		tracker.event("a target died")
		tracker.phase("healed", "all faults are healed")
		tracker.injected(0, "first", 3250*time.Millisecond, nil)
		tracker.healed(0, "first", 3450*time.Millisecond, nil)
		tracker.healed(1, "second", 3470*time.Millisecond, errors.New("it could not be"))
		want := []time.Duration{-1, -1, 3000, 3500, 3500, 3250, 3450, 3500}
		for i := range want[2:] {
			want[2+i] *= time.Millisecond
		}
		if !slices.Equal(told, want) {
			t.Errorf("told at %v, want %v", told, want)
		}
	})
}

// What is left behind the last second is no second: rates in it are told together with
// the one before, and nothing at all is no news.
func TestTrackerTellsRatesOfPieces(t *testing.T) {
	var told []float64
	tracker := newTracker(&experiment.Experiment{Name: "x"}, 0, func(p Progress) { told = append(told, p.Offered, p.Achieved) })
	ended := func(n uint64) map[string][load.Outcomes]uint64 {
		return map[string][load.Outcomes]uint64{"pay": {load.OK: n}}
	}
	for _, tick := range []struct {
		at             time.Duration
		offered, ended uint64
	}{
		{-time.Second, 50, 50}, // of a warm-up
		{0, 100, 100},
		{time.Second, 100, 90},
		{3 * time.Second, 200, 180}, // it took two
		{3250 * time.Millisecond, 25, 45},
		{3252 * time.Millisecond, 0, 0},
		{4252 * time.Millisecond, 0, 0},
	} {
		tracker.tick(tick.at, evidence.Tick{Offered: tick.offered, Ended: tick.ended, Routes: ended(tick.ended)})
	}
	want := []float64{50, 50, 100, 100, 100, 90, 100, 90, 100, 100, 0, 0}
	if !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}
