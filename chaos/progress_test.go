package chaos

import (
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/load"
)

func TestTrackerTellsWhatIsInForce(t *testing.T) {
	var told []Progress
	tracker := newTracker(&experiment.Experiment{Name: "x"}, 0, func(p Progress) { told = append(told, p) })
	tracker.phase("chaos", "begins")
	tracker.injected(1, "second", nil)
	tracker.injected(0, "first", nil)
	tracker.healed(1, "second", nil)
	tracker.tick(3*time.Second, evidence.Tick{Offered: 100, Ended: 90, Routes: map[string][load.Outcomes]uint64{"pay": {load.OK: 45, load.ServerError: 45}}})
	last := told[len(told)-1]
	if len(told) != 5 || last.Event != "" || last.Phase != "chaos" || len(last.Faults) != 1 || last.Faults[0] != "first" || last.Success != 0.5 || last.At != 3*time.Second {
		t.Errorf("told %d times, last %+v", len(told), last)
	}
	if two := told[2]; len(two.Faults) != 2 || two.Faults[0] != "first" || two.Event != "injected first" {
		t.Errorf("third %+v", two)
	}
}
