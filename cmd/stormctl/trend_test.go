package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stormctl/stormctl/chaos"
)

// The rows have the whole run in them, however long it is: the worst p99 stays to be
// seen, and rates are those of the seconds in a column.
func TestTrendKeepsTheWholeRun(t *testing.T) {
	for _, seconds := range []int{1, 59, 60, 61, 1000, 100_000} {
		var tr trend
		for i := 1; i <= seconds; i++ {
			p := chaos.Progress{At: time.Duration(i) * time.Second, Achieved: 100, Success: 0.9, P99: time.Millisecond}
			if i == (seconds+1)/2 {
				p.P99 = 7 * time.Second
			}
			tr.add(p)
			tr.add(chaos.Progress{At: p.At, Event: "it is no second", Achieved: 9999})
		}
		var counted int
		var worst time.Duration
		for _, c := range tr.columns {
			counted += c.seconds
			worst = max(worst, c.p99)
			if rate := c.ended / float64(c.seconds); math.Abs(rate-100) > 1e-9 || math.Abs(c.failed/c.ended-0.1) > 1e-9 {
				t.Errorf("%d s: a column of %d s has %v/s, %v not ok", seconds, c.seconds, rate, c.failed)
			}
		}
		if counted != seconds || worst != 7*time.Second || len(tr.columns) > trendColumns {
			t.Errorf("%d s: %d columns of %d s, the worst p99 is %v", seconds, len(tr.columns), counted, worst)
		}
		if row := tr.row(trendRows[2], 40); !strings.Contains(row, "▇") || !strings.Contains(row, "up to 7.00s") || len([]rune(row)) > 40 {
			t.Errorf("%d s: %q", seconds, row)
		}
	}
}

func TestTrendOfNothing(t *testing.T) {
	var tr trend
	tr.add(chaos.Progress{At: -1})
	if row := tr.row(trendRows[0], 80); row != "" {
		t.Errorf("%q", row)
	}
	tr.add(chaos.Progress{At: time.Second}) // a second in which nothing ended
	if got, want := tr.row(trendRows[0], 80), "  rate    ▁  up to 0/s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if row := tr.row(trendRows[2], 80); row != "" {
		t.Errorf("a p99 of nothing: %q", row)
	}
}
