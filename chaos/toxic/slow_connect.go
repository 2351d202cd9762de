package toxic

import (
	"fmt"
	"time"
)

// SlowConnect makes new connections usable late: the dependency is dialled after
// the delay, and nothing passes before. The caller's connect(2) itself returns
// at once, because the kernel accepts before we are asked; only one that waits
// for a first byte, or for its first answer, sees the delay.
type SlowConnect struct {
	Delay  time.Duration `yaml:"delay"` // From the caller's connect to ours.
	Select `yaml:",inline"`
}

// DecideConn puts the dial off.
func (s SlowConnect) DecideConn(m Moment) ConnFate {
	if left := s.Delay - m.Opened; left > 0 {
		return ConnFate{NoDial: true, Again: left}
	}
	return ConnFate{}
}

// Check reports what is wrong with s, by key.
func (s SlowConnect) Check(report func(field, problem string)) {
	notNegative(report, "delay", s.Delay)
	if s.Delay == 0 {
		report("delay", "is missing")
	}
	s.Select.Check(report)
}

// String is like "slow_connect 3s to 100%".
func (s SlowConnect) String() string {
	return fmt.Sprintf("slow_connect %v to %s", s.Delay, s.conns())
}
