package toxic

import (
	"math/rand/v2"
	"time"
)

// StreamLatency delays bytes on their way, and the end of the connection with
// them. It is a long link, not a narrow one: what follows is under way
// meanwhile. What was under way when it is injected is not delayed any more.
type StreamLatency struct {
	Delay        time.Duration `yaml:"delay"`        // The mean or the least delay, see distribution.
	Jitter       time.Duration `yaml:"jitter"`       // Width of the distribution.
	Distribution string        `yaml:"distribution"` // uniform (delay ± jitter, the default), normal (standard deviation jitter), pareto (at least delay, heavy tail of scale jitter).
	Conns        `yaml:",inline"`
}

// Decide lets the connection live.
func (l StreamLatency) Decide(Moment) StreamFate { return StreamFate{} }

// Cut leaves pieces as they are.
func (l StreamLatency) Cut(n int, _ *rand.Rand) int { return n }

// Release draws anew for each piece; one that is drawn short waits for the one
// before it.
func (l StreamLatency) Release(_ int, at, _ time.Duration, rng *rand.Rand) time.Duration {
	return at + l.latency().amount(rng)
}

// Waits is false: see StreamLatency.
func (l StreamLatency) Waits() bool { return false }

// latency is the same distribution for exchanges.
func (l StreamLatency) latency() Latency {
	return Latency{Delay: l.Delay, Jitter: l.Jitter, Distribution: l.Distribution, Select: All}
}

// Check reports what is wrong with l, by key.
func (l StreamLatency) Check(report func(field, problem string)) {
	l.latency().Check(report)
	l.Conns.Check(report)
}

// String is like "latency 100ms ± 20ms to 30%".
func (l StreamLatency) String() string {
	return l.latency().what() + " to " + l.Conns.String()
}
