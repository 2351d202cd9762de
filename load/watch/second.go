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
	From, At time.Duration  // of the clock; From is negative in the warm-up
	Interval *load.Interval // what ended in it; valid until Config.Second returns
	Host     meter.Hiccup
	Loops    load.Reading // with what was counted in it
}

// Requests is how many ended in it, those that were never sent left out.
func (s Second) Requests() uint64 {
	var n uint64
	for o, count := range s.Interval.All() {
		if load.Outcome(o) != load.Unsent {
			n += count
		}
	}
	return n
}

// Health is the second as what the harness knew of itself.
func (s Second) Health() load.Second {
	return load.Second{At: s.At, Length: s.At - s.From, Ended: s.Requests(), Late: s.Interval.Times.Late.Quantile(0.99),
		HiccupP99: s.Host.P99, HiccupMax: s.Host.Max, Pause: s.Host.Pause, Busy: s.Loops.Busy, Pressure: s.Host.Pressure,
		CPU: s.Host.CPU, Cores: runtime.NumCPU()}
}
