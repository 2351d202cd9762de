package result

import (
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/load/hist"
)

// Spread is a distribution in milliseconds.
type Spread struct {
	P50  float64 `json:"p50_ms"`   // the median
	P90  float64 `json:"p90_ms"`   // nine of ten took no longer
	P99  float64 `json:"p99_ms"`   // of a hundred 99
	P999 float64 `json:"p99_9_ms"` // of a thousand 999
	Max  float64 `json:"max_ms"`   // the longest
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// NewSpread is the distribution in h; zero for nil.
func NewSpread(h *hist.Histogram) Spread {
	if h == nil {
		return Spread{}
	}
	s := h.Summary()
	return Spread{P50: ms(s.P50), P90: ms(s.P90), P99: ms(s.P99), P999: ms(s.P999), Max: ms(s.Max)}
}

// exactSpread sorts d.
func exactSpread(d []time.Duration) Spread {
	if len(d) == 0 {
		return Spread{}
	}
	slices.Sort(d)
	at := func(q float64) float64 { return ms(d[max(0, int(math.Ceil(q*float64(len(d))))-1)]) }
	return Spread{P50: at(.5), P90: at(.9), P99: at(.99), P999: at(.999), Max: ms(d[len(d)-1])}
}
