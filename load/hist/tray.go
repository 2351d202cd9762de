package hist

import (
	"math/bits"
	"time"
)

// The shape of every Histogram, as hdrhistogram makes it of resolution, Highest
// and digits: times of one unit, 2^unitBits ns, up to 2^lineBits of them, and
// from there half as many for each doubling.
const (
	unitBits = 9  // 512 ns, the largest power of two that resolution allows
	lineBits = 11 // 2,048 units, the smallest power of two that tells 2·10^digits apart
	cells    = 24 << (lineBits - 1)
)

// tray counts times as a Histogram does, with less work for each: it is what
// event loops count in, until it is poured into a Histogram. A count wraps
// at 2^32, which is more than an hour of a million a second.
type tray struct {
	counts  [cells]uint32
	clamped int64
}

// record is Histogram.Record.
func (t *tray) record(d time.Duration) {
	if uint64(d) > uint64(Highest) { // below 0 too
		t.clamped++
		d = min(max(d, 0), Highest)
	}
	t.counts[cell(d)]++
}

// pour adds what was counted to both, and forgets it.
func (t *tray) pour(interval, total *Histogram) {
	for i := range t.counts {
		if n := t.counts[i]; n > 0 {
			interval.add(least(i), int64(n))
			total.add(least(i), int64(n))
			t.counts[i] = 0
		}
	}
	interval.clamped += t.clamped
	total.clamped += t.clamped
	t.clamped = 0
}

// cell is where a time is counted, which is from 0 to Highest.
func cell(d time.Duration) int {
	const line = 1<<(unitBits+lineBits) - 1
	doublings := bits.Len64(uint64(d)|line) - (unitBits + lineBits)
	return doublings<<(lineBits-1) + int(uint64(d)>>(doublings+unitBits))
}

// least is the least time that is counted in a cell.
func least(cell int) time.Duration {
	const half = 1 << (lineBits - 1)
	doublings := max(0, cell/half-1)
	return time.Duration(cell-doublings*half) << (doublings + unitBits)
}

// trays are what a Set is made of.
type trays struct {
	response, service []tray
	lag, late         tray
}

func newTrays(routes int) *trays {
	return &trays{response: make([]tray, routes), service: make([]tray, routes)}
}

// pour adds what was counted to both, and forgets it.
func (t *trays) pour(interval, total *Set) {
	for i := range t.response {
		t.response[i].pour(interval.Response[i], total.Response[i])
		t.service[i].pour(interval.Service[i], total.Service[i])
	}
	t.lag.pour(interval.Lag, total.Lag)
	t.late.pour(interval.Late, total.Late)
}
