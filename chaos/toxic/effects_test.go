package toxic

import (
	"testing"
	"time"
)

// TestEffects: what rulings know of a fault.
func TestEffects(t *testing.T) {
	for _, tt := range []struct {
		toxic Toxic
		want  Effects
	}{
		{Latency{Delay: time.Second, Select: All}, Effects{Delays: true, Marks: true}},
		{Latency{Recorded: "front.hlog", Select: All}, Effects{Delays: true, Marks: true}},
		{Errors{Status: Statuses{500, 503}, Select: All}, Effects{Ends: true, Answers: true, Marks: true}},
		{Errors{GRPC: 14, Select: All}, Effects{Ends: true, Answers: true, Marks: true}},
		{Hang{All}, Effects{Holds: true, Marks: true}},
		{Reset{Select: All}, Effects{Ends: true, Strikes: true, Spoils: true, Marks: true}},
		{Reset{When: "after", Select: All}, Effects{Ends: true, Strikes: true, Spoils: true, Marks: true}},
		{DropResponse{Select: All}, Effects{Holds: true, Drops: true, Marks: true}},
		{DropResponse{Then: "reset", Select: All}, Effects{Ends: true, Drops: true, Marks: true}},
		{Truncate{Select: All}, Effects{Ends: true, Spoils: true, Marks: true}},
		{Corrupt{Bytes: 0.1, Select: All}, Effects{Spoils: true, Marks: true}},
		{Corrupt{Bytes: 0.1, On: "request", Select: All}, Effects{Spoils: true, Marks: true}},
		{SlowBody{Rate: 10, Select: All}, Effects{Slows: true, Paces: true, Marks: true}},
		{Duplicate{All}, Effects{Duplicates: true, Marks: true}},
		{Partition{All}, Effects{Holds: true, Marks: true}},
		{Bandwidth{Rate: 10, Select: All}, Effects{Slows: true, Marks: true}},
		{SlowClose{Delay: 1, Select: All}, Effects{Slows: true, Marks: true}},
		{Timeout{Select: All}, Effects{Holds: true, Marks: true}},
		{Timeout{After: time.Second, Select: All}, Effects{Holds: true, Ends: true, Marks: true}},
		{ResetPeer{After: time.Second, Select: All}, Effects{Ends: true, Marks: true}},
		{Slicer{Size: 10, Select: All}, Effects{Slows: true, Marks: true}},
		{LimitData{Bytes: 10, Select: All}, Effects{Ends: true, Marks: true}},
		{Down{All}, Effects{Ends: true, Refuses: true, Marks: true}},
		{Down{Select{Share: 0.5}}, Effects{Ends: true, Refuses: true, Marks: true}},
		{SlowConnect{Delay: time.Second, Select: All}, Effects{Slows: true, Marks: true}},
		{HalfOpen{All}, Effects{Holds: true, Marks: true}},
		{Flap{Up: time.Second, Down: time.Second, Select: All}, Effects{Holds: true, Marks: true}},
	} {
		if got := EffectsOf(tt.toxic); got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.toxic, got, tt.want)
		}
	}
}
