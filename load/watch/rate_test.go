package watch

import (
	"testing"
	"time"

	"github.com/stormctl/stormctl/load"
)

func TestRate(t *testing.T) {
	var r Rate
	for _, tt := range []struct {
		name string
		n    float64
		span time.Duration
		want float64
	}{
		{"a first piece that is short is all there is", 3, 100 * time.Millisecond, 30},
		{"a second", 500, time.Second, 500},
		{"one that took longer", 600, 1200 * time.Millisecond, 500},
		{"one that is long enough", 100, 500 * time.Millisecond, 200},
		{"a second", 500, time.Second, 500},
		{"nothing in a short last piece", 0, 250 * time.Millisecond, 400}, // 500 in 1.25 s
		{"much in another", 500, 250 * time.Millisecond, 1000.0 / 1.5},    // 1,000 in 1.5 s
		{"nothing for long", 0, time.Second, 0},
	} {
		if got := r.Next(tt.n, tt.span); got < tt.want*0.9999 || got > tt.want*1.0001 {
			t.Errorf("%s: %v per second, want %v", tt.name, got, tt.want)
		}
	}
	if got := new(Rate).Next(1, 0); got != 0 {
		t.Errorf("%v per second in no time", got)
	}
}

// What is told of a load that takes less than a second, and of what comes behind its last
// whole one, counts as well.
func TestHealthOfPieces(t *testing.T) {
	second := func(from, at time.Duration, dialled uint64, busy float64) Second {
		s := Second{From: from, At: at, Counts: load.NewTally(1, 1).Delta()}
		s.Loops.Dialled, s.Loops.Busy, s.Host.Pressure = dialled, busy, busy
		return s
	}
	const ms = time.Millisecond
	for _, tt := range []struct {
		name       string
		seconds    []Second
		rate, busy float64
	}{
		{"one short piece", []Second{second(0, 10*ms, 1, 0.5)}, 1, 0.5},
		{"one of half a second", []Second{second(0, 500*ms, 20, 0.5)}, 20, 0.5}, // no more were seen in any second
		{"a second that took two", []Second{second(0, 2000*ms, 20, 0.5)}, 10, 0.5},
		{"the last piece has most", []Second{second(0, 1000*ms, 2, 0.5), second(1000*ms, 1010*ms, 7, 1)}, 7, 0.5},
		{"the first is short", []Second{second(0, 10*ms, 7, 1), second(10*ms, 1000*ms, 2, 0.5)}, 7, 0.5},
	} {
		h := NewHealth(0)
		for _, s := range tt.seconds {
			h.Add(s)
		}
		if h.DialRate != tt.rate || h.Busy != tt.busy || h.Pressure != tt.busy {
			t.Errorf("%s: %v dialled in a second, %v busy, pressure %v; want %v, %v", tt.name, h.DialRate, h.Busy, h.Pressure, tt.rate, tt.busy)
		}
	}
}
