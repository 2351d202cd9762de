package watch

import (
	"runtime"
	"time"

	"github.com/stormctl/stormctl/load"
	"github.com/stormctl/stormctl/load/meter"
)

// Second is what was seen in one second of a load: a shorter time at its end and
// at the warm-up's.
type Second struct {
	From, At time.Duration // of the clock; From is negative in the warm-up
	Counts   *load.Counts  // what ended in it; valid until Config.Second returns
	Host     meter.Hiccup
	Loops    load.Reading // with what was counted in it
}

// Requests is how many ended in it, those that were never sent left out.
func (s Second) Requests() uint64 {
	var n uint64
	for o, count := range s.Counts.All() {
		if load.Outcome(o) != load.Unsent {
			n += count
		}
	}
	return n
}

// Health is the second as what the harness knew of itself.
func (s Second) Health() load.Second {
	return load.Second{At: s.At, Length: s.At - s.From, Ended: s.Requests(), Late: s.Counts.Times.Late.Quantile(0.99),
		HiccupP99: s.Host.P99, HiccupMax: s.Host.Max, Pause: s.Host.Pause, Busy: s.Loops.Busy, Pressure: s.Host.Pressure,
		CPU: s.Host.CPU, Cores: runtime.NumCPU()}
}

// Health is how a harness did over the seconds that it is told of: what a Checkup
// makes of them, and the worst of each figure.
type Health struct {
	load.Checkup
	HiccupP99, HiccupMax time.Duration
	Pause                time.Duration // of Go's runtime, to collect garbage
	Steal                float64       // as in meter.Hiccup
	Pressure             float64       // as in meter.Hiccup, -1 if it is not known
	Busy                 float64       // as in load.Reading
	DialRate             float64       // connections opened in a second
	whole                bool          // Pressure and Busy are of seconds, and not of pieces of one
}

// piece is the most that says nothing of a second: a thread that waits for its turn once
// is 90% of 20 ms.
const piece = 200 * time.Millisecond

// NewHealth is that of a load with this Plan.Batch, before its first second.
func NewHealth(batch time.Duration) Health {
	return Health{Checkup: load.Checkup{Batch: batch}, Pressure: -1}
}

// Add takes the next second into account.
func (h *Health) Add(s Second) {
	h.HiccupP99, h.HiccupMax = max(h.HiccupP99, s.Host.P99), max(h.HiccupMax, s.Host.Max)
	h.Steal, h.Pause = max(h.Steal, s.Host.Steal), max(h.Pause, s.Host.Pause)
	span := s.At - s.From
	h.DialRate = max(h.DialRate, float64(s.Loops.Dialled)/max(span.Seconds(), 1))
	switch whole := span > piece; {
	case whole && !h.whole:
		h.Pressure, h.Busy, h.whole = s.Host.Pressure, s.Loops.Busy, true
	case whole == h.whole: // pieces count as long as there is nothing else
		h.Pressure, h.Busy = max(h.Pressure, s.Host.Pressure), max(h.Busy, s.Loops.Busy)
	}
	h.Checkup.Add(s.Health())
}
