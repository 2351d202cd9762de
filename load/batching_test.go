package load

import (
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/stormctl/stormctl/load/arrivals"
)

// TestBatchedArrivalsAreSentTogether: from 20,000/s and loop on, a loop wakes up
// at multiples of batchingEvery; below, and whatever the plan's own batch is not,
// for each arrival.
func TestBatchedArrivalsAreSentTogether(t *testing.T) {
	for _, tt := range []struct {
		name   string
		offer  rate.Limit
		shards int
		batch  time.Duration
		gap    time.Duration // to the arrival before
		want   time.Duration // when the loop wakes up for the arrival due at 1.00001 s
	}{
		{"sparse", 1000, 1, 0, time.Millisecond, 1000010 * time.Microsecond},
		{"sparse, close by chance", 1000, 1, 0, time.Microsecond, 1000010 * time.Microsecond},
		{"as sparse as may be", 20_000, 1, 0, 49 * time.Microsecond, 1000010 * time.Microsecond}, // 1/20,000 s is batchingGap
		{"dense", 20_100, 1, 0, 49 * time.Microsecond, 1000200 * time.Microsecond},               // 3334 × 300 µs
		{"dense, far by chance", 20_100, 1, 0, time.Millisecond, 1000010 * time.Microsecond},
		{"dealt out to two", 40_000, 2, 0, 49 * time.Microsecond, 1000010 * time.Microsecond},
		{"dense for each of two", 40_100, 2, 0, 49 * time.Microsecond, 1000200 * time.Microsecond},
		{"as the plan wants it", 40_100, 1, time.Millisecond, 25 * time.Microsecond, 1001 * time.Millisecond},
	} {
		l := &loop{program: &program{Plan: Plan{Schedule: arrivals.Constant(tt.offer, time.Minute), Batch: tt.batch}, shards: tt.shards}, gap: tt.gap}
		l.next.intended = 1000010 * time.Microsecond
		if got := l.due(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestEverBatching(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    arrivals.Schedule
		want bool
	}{
		{"never", arrivals.Constant(20_000, time.Minute), false},
		{"always", arrivals.Constant(21_000, time.Minute), true},
		{"at the end of a ramp", arrivals.Stages([]arrivals.Stage{{To: 30_000, Over: time.Minute}}, arrivals.Spacing{}), true},
		{"not to the end of it", arrivals.Stages([]arrivals.Stage{{To: 15_000, Over: time.Minute}}, arrivals.Spacing{}), false},
		{"no schedule", nil, false},
	} {
		g := &program{Plan: Plan{Schedule: tt.s}, shards: 1}
		if got := g.everBatching(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
