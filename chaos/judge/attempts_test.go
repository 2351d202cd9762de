package judge

import (
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/wire"
)

// The requests of a chain have ids of their own, as they travel: none is taken
// for a repetition of another, though all call the dependency alike. What is
// repeated under one id is.
func TestStepsAreNoRetries(t *testing.T) {
	run := &evidence.Run{Routes: []string{"buy"}}
	link := &evidence.Link{Name: "pay"}
	for step, times := range []int{1, 2, 1} {
		seq, ok := wire.ParseID(wire.AppendID(nil, wire.ID{Run: 9, Seq: wire.SeqOf(7, step)}), 9)
		if !ok {
			t.Fatal("it cannot be read")
		}
		run.Front = append(run.Front, load.Sample{ID: seq, Step: step, Status: 200})
		for range times {
			at := time.Duration(len(link.Exchanges)) * time.Second
			link.Exchanges = append(link.Exchanges, evidence.Exchange{ID: seq, Method: "GET", Path: "/pay", Status: 503, Begin: at, End: at + time.Millisecond, Ending: evidence.Answered})
		}
	}
	calls, anonymous := callsOf(run, link, "buy", time.Millisecond)
	if len(calls) != 3 || anonymous != 0 {
		t.Fatalf("%d calls and %d without an id, want 3 and none", len(calls), anonymous)
	}
	for step, want := range []int{1, 2, 1} {
		if got := len(calls[step].attempts); got != want || wire.ArrivalOf(calls[step].id) != 7 {
			t.Errorf("step %d: %d attempts under %x, want %d of arrival 7", step, got, calls[step].id, want)
		}
	}
}
