package chaos

import (
	"testing"

	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/timeline"
	"github.com/stormctl/stormctl/chaos/toxic"
)

// A claim is told whether a lost response keeps its caller waiting.
func TestInjectionTellsWhatEndsCalls(t *testing.T) {
	for then, want := range map[string]bool{"": false, "hang": false, "reset": true} {
		e := experiment.Event{On: "a", DropResponse: &toxic.DropResponse{Then: then, Select: toxic.All}}
		if got := injection(&experiment.Experiment{}, 0, e, timeline.Event{}); got.Ends != want || got.Kind != "drop_response" {
			t.Errorf("then %q: %+v", then, got)
		}
	}
}
