package toxic

import (
	"testing"
	"time"
)

func TestRamp(t *testing.T) {
	x := headOf("GET", "/", nil)
	for _, tt := range []struct {
		since time.Duration
		share float64 // of half of the exchanges
		delay time.Duration
	}{
		{0, 0, 0},
		{time.Second, 0.05, 10 * time.Millisecond}, // a tenth of the way
		{5 * time.Second, 0.25, 50 * time.Millisecond},
		{10 * time.Second, 0.5, 100 * time.Millisecond},
		{time.Minute, 0.5, 100 * time.Millisecond},
	} {
		x.Since = tt.since
		const n = 20_000
		r, taken := rng(), 0
		for range n {
			if decide(Reset{Select: Select{Share: 0.5, Ramp: 10 * time.Second}}, x, r).Verb == Break {
				taken++
			}
		}
		// Five standard deviations of a share of 20,000 draws are at most
		// 5·√(0.25/20000) = 0.018.
		if got := float64(taken) / n; got < tt.share-0.018 || got > tt.share+0.018 {
			t.Errorf("after %v it takes %v, want %v", tt.since, got, tt.share)
		}
		slow := Latency{Delay: 100 * time.Millisecond, Select: Select{Share: 1, Ramp: 10 * time.Second}}
		if got := decide(slow, x, r).Delay; got != tt.delay {
			t.Errorf("after %v it delays by %v, want %v", tt.since, got, tt.delay)
		}
	}
}

func TestCycle(t *testing.T) {
	c := Cycle{On: 2 * time.Second, Off: 3 * time.Second}
	for _, tt := range []struct {
		since time.Duration
		on    bool
		until time.Duration
	}{
		{0, true, 2 * time.Second},
		{2*time.Second - 1, true, 2 * time.Second},
		{2 * time.Second, false, 5 * time.Second},
		{4 * time.Second, false, 5 * time.Second},
		{5 * time.Second, true, 7 * time.Second},
		{1001 * time.Second, true, 1002 * time.Second}, // 200 periods of 5 s, and 1 s
	} {
		if on, until := c.At(tt.since); on != tt.on || until != tt.until {
			t.Errorf("at %v: %v until %v, want %v until %v", tt.since, on, until, tt.on, tt.until)
		}
	}
}
