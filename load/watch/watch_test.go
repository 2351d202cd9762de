package watch

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/meter"
)

// stopped is a meter for tests that own time: its thread sleeps by the kernel's clock, and
// would keep theirs from going on.
func stopped() *meter.Meter {
	m := meter.Start(meter.Often)
	m.Stop()
	return m
}

// The warm-up's last second ends where the clock is at 0, and the load's where
// it ends; every request is in one of them, and those of the warm-up in no other
// count.
func TestSecondsOfAWarmupAndALoad(t *testing.T) {
	const warmup, end = 1150 * time.Millisecond, 200 * time.Millisecond
	for _, tt := range []struct {
		name string
		late time.Duration // how long each flush of the warm-up takes, which keeps the watch from its clock
		want []time.Duration
	}{
		// It looks at the clock each 100 ms, first at -1050 ms.
		{"on time", 0, []time.Duration{-150 * time.Millisecond, 0, end}},
		// It looks at -1050 ms + n × 300 ms.
		{"late", 300 * time.Millisecond, []time.Duration{-150 * time.Millisecond, 0, end}},
		{"later", 400 * time.Millisecond, []time.Duration{0, end}},
		// From its first flush it is back at +150 ms: what the warm-up had left is one second.
		{"too late", 1200 * time.Millisecond, []time.Duration{0, end}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := stopped()
			synctest.Test(t, func(t *testing.T) {
				var edges []time.Duration
				var warm, measured uint64
				begun := time.Now()
				flush := func() {
					if time.Since(begun) < warmup {
						time.Sleep(tt.late)
					}
				}
				w := New(Config{Rows: 1, Shards: 1, Warmup: warmup, Flush: flush, Second: func(s Second) {
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
				w.begin(begun.Add(warmup), load.NewStats(1, begun), m)
				observe := load.SplitWarmup(warmup, w.Warm.Observe, w.Tally.Observe)
				for _, at := range []time.Duration{0, warmup - 1, warmup, warmup + time.Millisecond} {
					observe(0, load.Sample{Intended: at, Sent: at, Done: at + time.Millisecond})
				}
				observe(0, load.Sample{Intended: warmup, Outcome: load.Unsent})
				time.Sleep(warmup + end/2)
				w.Stop()
				w.Rest(end)
				w.Rest(end) // has no more to close
				if !slices.Equal(edges, tt.want) {
					t.Errorf("seconds end at %v, want %v", edges, tt.want)
				}
				if total := w.WarmedUp(); warm != 2 || measured != 2 || total.All()[load.OK] != 2 || w.Tally.Total().All()[load.OK] != 2 {
					t.Errorf("%d in the warm-up, %d after it, %v in all of it", warm, measured, total.All())
				}
			})
		})
	}
}

// What ends in its warm-up has no second that counts.
func TestAWarmupThatIsCutShort(t *testing.T) {
	var ends []time.Duration
	w := New(Config{Rows: 1, Shards: 1, Warmup: time.Hour, Second: func(s Second) { ends = append(ends, s.At) }})
	w.Begin(time.Now().Add(time.Hour), load.NewStats(1, time.Now()), meter.Often)
	w.Stop()
	w.Rest(-time.Minute)
	w.Close()
	if !slices.Equal(ends, []time.Duration{-time.Minute}) {
		t.Errorf("seconds end at %v, want one at -1m", ends)
	}
}

// An idle process is woken up for its seconds alone: what there is to flush waits for them.
func TestAnIdleWatchWakesUpOnceASecond(t *testing.T) {
	m := stopped()
	synctest.Test(t, func(t *testing.T) {
		var flushed, ends []time.Duration
		begun := time.Now()
		w := New(Config{Rows: 1, Shards: 1, Warmup: 1500 * time.Millisecond, Flush: func() { flushed = append(flushed, time.Since(begun)) },
			Second: func(s Second) { ends = append(ends, s.At) }})
		w.idle = true
		w.begin(begun.Add(1500*time.Millisecond), load.NewStats(1, begun), m)
		time.Sleep(2750 * time.Millisecond)
		w.Sync()
		time.Sleep(time.Second)
		w.Stop()
		// A second after it began, where the warm-up ends, and from there each second.
		if want := []time.Duration{-500 * time.Millisecond, 0, time.Second, 2 * time.Second}; !slices.Equal(ends, want) {
			t.Errorf("seconds end at %v, want %v", ends, want)
		}
		// Where the warm-up ends the clock may be looked at first.
		flushed = slices.DeleteFunc(flushed, func(d time.Duration) bool { return d.Truncate(time.Millisecond) == 1500*time.Millisecond })
		want := []time.Duration{time.Second, 2500 * time.Millisecond, 2750 * time.Millisecond, 3500 * time.Millisecond}
		if !slices.Equal(flushed, want) {
			t.Errorf("flushed at %v, want %v", flushed, want)
		}
	})
}
