package toxic

import (
	"fmt"
	"time"
)

// Timeout lets nothing pass, and closes the connection after a while. Nothing
// is lost: what was held goes on if it heals before.
type Timeout struct {
	After time.Duration `yaml:"after"` // When it closes, from the injection or the connection's begin; absent means never.
	Conns `yaml:",inline"`
}

// Decide stalls and then closes.
func (t Timeout) Decide(m Moment) StreamFate {
	switch left := t.After - m.Age(); {
	case t.After <= 0:
		return StreamFate{Course: Stall}
	case left > 0:
		return StreamFate{Course: Stall, Again: left}
	default:
		return StreamFate{Course: Finish}
	}
}

// Check reports what is wrong with t, by key.
func (t Timeout) Check(report func(field, problem string)) {
	notNegative(report, "after", t.After)
	t.Conns.Check(report)
}

// String is like "timeout after 2s to 100%".
func (t Timeout) String() string {
	if t.After <= 0 {
		return "timeout to " + t.Conns.String()
	}
	return fmt.Sprintf("timeout after %v to %s", t.After, t.Conns)
}
