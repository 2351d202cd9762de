package watch

import (
	"slices"
	"testing"
	"time"

	"github.com/stormctl/stormctl/load"
)

// The warm-up's last second ends where the clock is at 0, and the load's where
// it ends; every request is in one of them, and those of the warm-up in no other
// count.
func TestSecondsOfAWarmupAndALoad(t *testing.T) {
	const warmup = 1150 * time.Millisecond
	var edges []time.Duration
	var warm, measured uint64
	w := New(Config{Rows: 1, Shards: 1, Warmup: warmup, Second: func(s Second) {
		if s.From < 0 {
			warm += s.Requests()
		} else {
			measured += s.Requests()
		}
		if len(edges) > 0 && s.From != edges[len(edges)-1] {
			t.Errorf("a second from %v follows the one until %v", s.From, edges[len(edges)-1])
		}
		edges = append(edges, s.At)
	}})
	begun := time.Now()
	w.Begin(begun.Add(warmup), load.NewStats(1, begun))
	defer w.Close()
	observe := load.Apart(warmup, w.Warm.Observe, w.Tally.Observe)
	for _, at := range []time.Duration{0, warmup - 1, warmup, warmup + time.Millisecond} {
		observe(0, load.Sample{Intended: at, Sent: at, Done: at + time.Millisecond})
	}
	observe(0, load.Sample{Intended: warmup, Outcome: load.Unsent})
	time.Sleep(warmup + 100*time.Millisecond)
	w.Stop()
	const end = 200 * time.Millisecond
	w.Rest(end)
	w.Rest(end) // has no more to close
	if n := len(edges); n < 3 || edges[0] > -50*time.Millisecond || !slices.Contains(edges, 0) || edges[n-1] != end {
		t.Errorf("seconds end at %v", edges)
	}
	if total := w.WarmedUp(); warm != 2 || measured != 2 || total.All()[load.OK] != 2 || w.Tally.Total().All()[load.OK] != 2 {
		t.Errorf("%d in the warm-up, %d after it, %v in all of it", warm, measured, total.All())
	}
}

// What ends in its warm-up has no second that counts.
func TestAWarmupThatIsCutShort(t *testing.T) {
	var ends []time.Duration
	w := New(Config{Rows: 1, Shards: 1, Warmup: time.Hour, Second: func(s Second) { ends = append(ends, s.At) }})
	w.Begin(time.Now().Add(time.Hour), load.NewStats(1, time.Now()))
	w.Stop()
	w.Rest(-time.Minute)
	w.Close()
	if !slices.Equal(ends, []time.Duration{-time.Minute}) {
		t.Errorf("seconds end at %v, want one at -1m", ends)
	}
}
