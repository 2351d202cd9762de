package toxic

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Bandwidth is a narrow link: each direction of each connection that it takes
// passes so many bytes a second, and the sender waits for the rest.
type Bandwidth struct {
	Rate   unit.Bandwidth `yaml:"rate"` // Bytes per second.
	Select `yaml:",inline"`
}

// bandwidthPieces is how many pieces a second a narrow link lets through: small
// enough to trickle, large enough not to be a cost.
const bandwidthPieces = 100

// DecideConn stalls a link without any width; otherwise Release does it.
func (b Bandwidth) DecideConn(Moment) ConnFate {
	if b.Rate <= 0 {
		return ConnFate{Verb: ConnStall}
	}
	return ConnFate{}
}

// Cut makes bytes trickle.
func (b Bandwidth) Cut(n int, _ *rand.Rand) int {
	return int(min(int64(n), max(int64(b.Rate)/bandwidthPieces, 1)))
}

// Release is when n bytes are through, after those before them.
func (b Bandwidth) Release(n int, at, free time.Duration, _ *rand.Rand) time.Duration {
	return max(at, free) + time.Duration(float64(n)/float64(max(b.Rate, 1))*float64(time.Second))
}

// Waits is true: see Bandwidth.
func (b Bandwidth) Waits() bool { return true }

// Check reports what is wrong with b, by key.
func (b Bandwidth) Check(report func(field, problem string)) {
	if b.Rate <= 0 {
		report("rate", "must be at least one byte per second; partition lets nothing through")
	}
	b.Select.Check(report)
}

// String is like "bandwidth 64KiB/s to 100%".
func (b Bandwidth) String() string {
	return fmt.Sprintf("bandwidth %s to %s", b.Rate, b.conns())
}
