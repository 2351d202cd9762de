package judge

import (
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// Goodput is back at the first request from which on it stays, and every figure
// is known within 10 ms, the least noise.
func TestReturned(t *testing.T) {
	healed, until := 10*time.Second, 14*time.Second
	requests := func(ok func(at time.Duration) bool) []load.Sample { // one every 5 ms
		var samples []load.Sample
		for at := time.Duration(0); healed+at < until; at += 5 * ms {
			s := load.Sample{Intended: healed + at, Sent: healed + at, Done: healed + at + ms, Outcome: load.ServerError}
			if ok(at) {
				s.Outcome = load.OK
			}
			samples = append(samples, s)
		}
		return samples
	}
	for _, row := range []struct {
		name      string
		ok        func(at time.Duration) bool
		back      time.Duration // from the healing; < 0 if it is not
		low, high time.Duration // no earlier than, no later than; high < 0 is not known
		lost      bool
	}{
		{"at once", func(time.Duration) bool { return true }, 0, 0, 10 * ms, false},
		{"after 300 ms", func(at time.Duration) bool { return at >= 300*ms }, 300 * ms, 150 * ms, 310 * ms, false},
		{"half of them until 300 ms", func(at time.Duration) bool { return at >= 300*ms || at%(10*ms) == 0 }, 300 * ms, 100 * ms, 310 * ms, false},
		// The first ten of a window may not have one failure among them, nor the first 19.
		{"one in fifty fails", func(at time.Duration) bool { return at%(250*ms) != 0 }, 5 * ms, 0, 15 * ms, false},
		{"a lucky second", func(at time.Duration) bool { return at >= time.Second && at < 2*time.Second }, -1, 3400 * ms, -1, true},
		{"half of them", func(at time.Duration) bool { return at%(10*ms) == 0 }, -1, 3400 * ms, -1, false},
		{"only at the very end", func(at time.Duration) bool { return at >= 3600*ms }, -1, 3400 * ms, -1, false}, // 400 ms are less than a window
		{"lost at the very end", func(at time.Duration) bool { return at < 3800*ms }, -1, 3400 * ms, -1, true},
		{"lost and back again", func(at time.Duration) bool { return at < time.Second || at >= 1200*ms }, 1200 * ms, 1000 * ms, 1210 * ms, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := returned(&evidence.Run{}, every(requests(row.ok)), healed, until, 500*ms, Interval{0.99, 1}, 0.95)
			if back := c.from - healed; row.back >= 0 && back != row.back || c.back() != (row.back >= 0) {
				t.Errorf("back after %s, %v; want %s", back, c.back(), row.back)
			}
			if c.after.Low < float64(row.low) || row.high >= 0 && c.after.High > float64(row.high) || row.high < 0 && c.after.High < float64(time.Hour) {
				t.Errorf("after %s to %s; want %s to %s at the widest", time.Duration(c.after.Low), time.Duration(c.after.High), row.low, row.high)
			}
			if lost := c.lost > 0; lost != row.lost || lost && !c.calm {
				t.Errorf("lost again at %s, calm %v; want %v", c.lost, c.calm, row.lost)
			}
		})
	}
	// All that is seen after it fails: that it came back later than 3.8 s is sure.
	none := requests(func(time.Duration) bool { return false })
	if c := returned(&evidence.Run{}, every(none), healed, until, 500*ms, Interval{0.99, 1}, 0.95); c.after.Low < float64(3800*ms) {
		t.Errorf("nothing succeeds for 4 s: back after %s or more, want more", time.Duration(c.after.Low))
	}
	if c := returned(&evidence.Run{}, arrivals{}, healed, until, 500*ms, Interval{0.99, 1}, 0.95); c.back() {
		t.Error("nothing came, and that is back")
	}
}
