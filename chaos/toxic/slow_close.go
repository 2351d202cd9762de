package toxic

import (
	"fmt"
	"time"
)

// SlowClose passes the end of a direction on late: bytes pass as ever, and the
// other side learns that there will be no more of them after the delay.
type SlowClose struct {
	Delay  time.Duration `yaml:"delay"` // From the last byte to the end.
	Select `yaml:",inline"`
}

// DecideConn delays the end.
func (s SlowClose) DecideConn(Moment) ConnFate { return ConnFate{Ends: s.Delay} }

// Check reports what is wrong with s, by key.
func (s SlowClose) Check(report func(field, problem string)) {
	notNegative(report, "delay", s.Delay)
	if s.Delay == 0 {
		report("delay", "is missing")
	}
	s.Select.Check(report)
}

// String is like "slow_close 2s to 100%".
func (s SlowClose) String() string {
	return fmt.Sprintf("slow_close %v to %s", s.Delay, s.conns())
}
