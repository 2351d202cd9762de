package evidence

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The rules are load.Checkup's; what is tried is that the run's figures reach it.
func TestProblems(t *testing.T) {
	ms := func(n int) Seconds { return Seconds(n) * Seconds(time.Millisecond) }
	for _, tt := range []struct {
		name   string
		change func(r *Run)
		want   string // "" means well
	}{
		{"well", func(*Run) {}, ""},
		{"lost", func(r *Run) { r.Lost = map[string]uint64{lostByRun: 2} }, "2 records of requests were lost"},
		{"unsent", func(r *Run) { r.Ticks[2].Unsent = 4 }, "4 arrivals were due and never sent"},
		{"skipped, as was wanted", func(r *Run) { r.Ticks[2].Unsent, r.Skips = 4, true }, ""},
		{"skipped, and the host had no port left", func(r *Run) { r.Ticks[2].Unsent, r.Ticks[2].Starved, r.Skips = 4, 3, true }, "3 arrivals were never sent, because the host"},
		{"late", func(r *Run) { r.Ticks[2].LateP99 = ms(50) }, "around 3s"},
		{"in batches", func(r *Run) { r.Batch, r.Ticks[2].LateP99 = 5*time.Millisecond, ms(6) }, ""},
		{"held back", func(r *Run) { r.Ticks[2].DialLimited = 500 }, "waited because the limit of new connections"},
		{"busy", func(r *Run) { r.Ticks[2].Busy = 1 }, "100% of a core"},
		{"paused", func(r *Run) { r.Ticks[2].Pause = ms(50) }, "collect garbage"},
		{"crowded", func(r *Run) { r.Ticks[2].Pressure = 0.9 }, "cores were taken in 1 s"},
		{"crowded by itself", func(r *Run) { r.Ticks[2].Pressure, r.Ticks[2].CPU, r.Ticks[2].Cores = 0.9, 1.1, 2 }, ""},
		{"stalling", func(r *Run) {
			for i := range r.Ticks {
				r.Ticks[i].HiccupP99, r.Ticks[i].HiccupMax = ms(30), ms(50)
			}
		}, "kept stalling"},
		{"stood still", func(r *Run) { r.Ticks = slices.Delete(r.Ticks, 2, 4) }, "stood still for 2s around 5s"},
		{"stood still until after the time in question", func(r *Run) { r.Ticks = slices.Delete(r.Ticks, 4, 7) }, "stood still for 3s around 8s"},
		{"after the time in question", func(r *Run) { r.Ticks[9].Unsent = 4 }, ""},
		{"a crowded moment at the end", func(r *Run) { r.Ticks[5].At, r.Ticks[5].Pressure = r.Ticks[4].At+20*time.Millisecond, 0.9 }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Run{}
			for i := range 10 {
				r.Ticks = append(r.Ticks, Tick{At: time.Duration(i+1) * time.Second, Ended: 2000, LateP99: Seconds(time.Millisecond), HiccupP99: Seconds(time.Millisecond), HiccupMax: ms(3), CPU: 0.3})
			}
			tt.change(r)
			got := r.Problems(0, 5*time.Second)
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("it was well, but: %q", got)
			case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0].Text, tt.want)):
				t.Errorf("got %q, want %q alone", got, tt.want)
			}
		})
	}
}

func TestBehind(t *testing.T) {
	r := &Run{End: 8 * time.Second}
	for i, pressure := range []float64{0, 1, 1, 0.96, 1, 0.5, 1, 0} {
		r.Ticks = append(r.Ticks, Tick{At: time.Duration(i+1) * time.Second, Pressure: pressure})
	}
	for _, tt := range []struct{ from, to, want time.Duration }{
		{0, 900 * time.Millisecond, LeastNoise},
		{500 * time.Millisecond, 1500 * time.Millisecond, 500 * time.Millisecond}, // saturated, for a second
		{0, 4500 * time.Millisecond, time.Second},
		{4500 * time.Millisecond, 4600 * time.Millisecond, time.Second}, // what piled up before is still there
		{5500 * time.Millisecond, 5600 * time.Millisecond, LeastNoise},
		{6500 * time.Millisecond, 8 * time.Second, 500 * time.Millisecond},
	} {
		if got := r.Lateness(tt.from, tt.to); got != tt.want {
			t.Errorf("from %v to %v it may be behind by %v, want %v", tt.from, tt.to, got, tt.want)
		}
	}
}
