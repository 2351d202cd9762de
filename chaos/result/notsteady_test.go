package result

import (
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/experiment"
	"github.com/stormctl/stormctl/chaos/judge"
	"github.com/stormctl/stormctl/load"
)

// A steady state that was not confirmed when the faults were due has not held,
// whatever the requests that were under way then came to: nothing was injected.
func TestNotConfirmedIsNotHeld(t *testing.T) {
	run := &evidence.Run{Routes: []string{"pay"}, End: time.Second, NotSteady: "only 10 requests were due",
		Faults: []evidence.Injection{{At: evidence.Seconds(time.Second), Injected: -1, Healed: -1}}}
	for i := range 50 {
		at := time.Duration(i) * 10 * time.Millisecond
		run.Samples = append(run.Samples, load.Sample{ID: uint64(i + 1), Intended: at, Sent: at, Done: at + time.Millisecond, Status: 200})
	}
	x := &experiment.Experiment{Claims: []experiment.Claim{{Steady: &judge.Steady{Success: 0.5}}}}
	v := Verdicts(x, run)[0]
	if v.Ruling != judge.Inconclusive || !strings.Contains(v.Reason, "only 10 requests were due") {
		t.Errorf("%s: %s", v.Ruling, v.Reason)
	}
	run.NotSteady, run.Faults = "", nil
	if v := Verdicts(x, run)[0]; v.Ruling != judge.Held {
		t.Errorf("confirmed: %s: %s", v.Ruling, v.Reason)
	}
}
