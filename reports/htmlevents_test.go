package reports

import (
	"strings"
	"testing"

	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/chaos/result"
)

// What happened at a moment is on the time axis, with its words beside; so many at most.
func TestEventsAreOnTheTimeAxis(t *testing.T) {
	r := breakerRun(judge.Held)
	for i := range mostEvents + 5 {
		r.Events = append(r.Events, result.Event{At: float64(i), Kind: "note", Text: "a note"})
	}
	r.Events[3] = result.Event{At: 3, Kind: "death", Target: "bank", Text: "bank ended by itself: <b>exit status 3</b>"}
	marks, lanes := eventMarks(r.Events, r.Seconds)
	if len(marks) != mostEvents || len(lanes) != mostEvents || !marks[3].X || marks[3].At != 3 || marks[3].Label != "4" || marks[3].Tone == marks[2].Tone {
		t.Errorf("%d marks, %d lanes, the fourth %+v", len(marks), len(lanes), marks[3])
	}
	var page strings.Builder
	if err := HTML(&page, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page.String(), "4  bank ended by itself: &lt;b&gt;exit status 3") {
		t.Error("the page does not say what happened")
	}
}
