package hist

import (
	"testing"
	"time"
)

// Each time is in the cell that it was counted in, none is missing, and a cell is as
// narrow as three digits.
func TestCellsHaveAllTimes(t *testing.T) {
	h := New()
	times := []time.Duration{0, 1, 511, 512, time.Microsecond, 1234567, time.Second, 59 * time.Minute, Highest, 2 * Highest}
	for _, d := range times {
		h.Record(d)
	}
	var all int64
	last := time.Duration(-1)
	h.Buckets(func(from, to time.Duration, count int64) {
		var within int64
		for _, d := range times {
			if d = min(d, Highest); d >= from && d <= to {
				within++
			}
		}
		if within != count || from <= last || to < from || to > Highest || float64(to-from) > 0.001*float64(to)+512 {
			t.Errorf("%d from %v to %v, want %d", count, from, to, within)
		}
		all, last = all+count, to
	})
	if all != int64(len(times)) {
		t.Errorf("%d times, want %d", all, len(times))
	}
}
