package compare

import (
	"fmt"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Tolerance is how much worse a metric may be. A change is worse only if it is
// beyond both.
type Tolerance struct {
	Relative float64 `json:"relative"` // in parts of the base
	Absolute float64 `json:"absolute"` // in the metric's unit
}

// Tolerances are by metric. One without a tolerance is shown and not ruled on.
type Tolerances map[string]Tolerance

// Defaults are those of a gate that is told none: times of 3% and 0.2 ms in the
// middle, 10% and 1 ms in the tail, a tenth of a percent of the requests, 3% of the
// rate, 5% of the CPU per request.
func Defaults() Tolerances {
	return Tolerances{
		"p50":     {0.03, 0.2},
		"p90":     {0.03, 0.2},
		"p99":     {0.10, 1},
		"success": {0, 0.001},
		"rate":    {0.03, 0},
		"cpu":     {0.05, 0.002},
	}
}

// Metrics are the names that tolerances may have.
func Metrics() []string {
	var names []string
	for _, m := range ofRoutes {
		names = append(names, m.name)
	}
	return append(names, ofTargets.name)
}

// Set changes a tolerance as people write it: p50=5%,0.5ms or success=1%. What is
// not given of the two is 0, which leaves the other to decide.
func (t Tolerances) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	m, known := metricOf(name)
	switch {
	case !ok:
		return fmt.Errorf("%q is no tolerance: write METRIC=RELATIVE,ABSOLUTE like p50=5%%,0.5ms", text)
	case !known:
		return fmt.Errorf("%q is no metric: it is one of %s", name, strings.Join(Metrics(), ", "))
	}
	var set Tolerance
	for part := range strings.SplitSeq(value, ",") {
		if share, err := unit.ParseShare(part); err == nil {
			if m.linear {
				set.Absolute = float64(share)
			} else {
				set.Relative = float64(share)
			}
			continue
		}
		d, err := time.ParseDuration(part)
		if err != nil || d < 0 || m.unit != milliseconds {
			return fmt.Errorf("%q of %s is neither a share like 5%%%s", part, name, orTime(m))
		}
		set.Absolute = unit.Millis(d)
	}
	t[name] = set
	return nil
}

func orTime(m metric) string {
	if m.unit == milliseconds {
		return " nor a time like 0.5ms"
	}
	return ": it has no other tolerance"
}
