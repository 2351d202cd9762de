package evidence

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stormctl/stormctl/load"
)

// The outcomes of a tick are a list: what a run of an earlier version has in it
// must not change its meaning with a new outcome.
func TestTickOfAnEarlierVersion(t *testing.T) {
	pay := [load.Outcomes]uint64{load.OK: 1, load.ClientError: 2, load.ServerError: 3, load.TimedOut: 4, load.Refused: 5, load.Reset: 6, load.Malformed: 7, load.Unsent: 8}
	wrong := pay
	wrong[load.Wrong] = 9
	for text, want := range map[string]Tick{
		`{"offered":36,"routes":{"pay":[1,2,3,4,5,6,7,8]}}`: {Offered: 36, Routes: map[string][load.Outcomes]uint64{"pay": pay}},
		`{"routes":{"pay":[1,2,3,4,5,6,7,9,8]}}`:            {Routes: map[string][load.Outcomes]uint64{"pay": wrong}},
		`{"routes":{}}`:                                     {Routes: map[string][load.Outcomes]uint64{}},
		`{"lost":3}`:                                        {Lost: 3},
	} {
		var got Tick
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	if err := json.Unmarshal([]byte(`{"routes":{"pay":["x"]}}`), &Tick{}); err == nil {
		t.Error("a word for a count: no error")
	}
}

// Arrivals that were not to wait are unsent by choice: the harness is well, and
// what they are is in the routes' outcomes.
func TestUnsentByChoiceIsNoProblem(t *testing.T) {
	for skips, want := range map[bool]int{false: 1, true: 0} {
		run := Run{Skips: skips, Ticks: []Tick{{At: time.Second, Unsent: 5}}}
		if got := run.Problems(0, time.Second); len(got) != want {
			t.Errorf("skips %v: %q, want %d", skips, got, want)
		}
	}
}
