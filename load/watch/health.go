package watch

import (
	"time"

	"github.com/stormctl/stormctl/load"
)

// Health is how a harness did over the seconds that it is told of: what a Checkup
// makes of them, and the worst of each figure.
type Health struct {
	load.Checkup
	HiccupP99, HiccupMax time.Duration
	Pause                time.Duration // of Go's runtime, to collect garbage
	Steal                float64       // as in meter.Hiccup
	Pressure             float64       // as in meter.Hiccup, -1 if it is not known
	Busy                 float64       // as in load.Reading
	DialRate             float64       // connections opened per second
}

// NewHealth is that of a load with this Plan.Batch, before its first second.
func NewHealth(batch time.Duration) Health {
	return Health{Checkup: load.Checkup{Batch: batch}, Pressure: -1}
}

// Add takes the next second into account.
func (h *Health) Add(s Second) {
	h.HiccupP99, h.HiccupMax = max(h.HiccupP99, s.Host.P99), max(h.HiccupMax, s.Host.Max)
	h.Steal, h.Pause = max(h.Steal, s.Host.Steal), max(h.Pause, s.Host.Pause)
	if span := (s.At - s.From).Seconds(); span > 0.2 { // a shorter one says nothing of a second
		h.Pressure = max(h.Pressure, s.Host.Pressure)
		h.Busy = max(h.Busy, s.Loops.Busy)
		h.DialRate = max(h.DialRate, float64(s.Loops.Dialled)/span)
	}
	h.Checkup.Add(s.Health())
}
