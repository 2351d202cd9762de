package toxic

import (
	"fmt"
	"time"
)

// Timeout lets nothing pass, and closes the connection after a while. Nothing
// is lost: what was stalled goes on if it heals before.
type Timeout struct {
	After  time.Duration `yaml:"after"` // When it closes, from the injection or the connection's begin; absent means never.
	Select `yaml:",inline"`
}

// DecideConn stalls and then closes.
func (t Timeout) DecideConn(m Moment) ConnFate {
	switch left := t.After - m.Age(); {
	case t.After <= 0:
		return ConnFate{Verb: ConnStall}
	case left > 0:
		return ConnFate{Verb: ConnStall, Again: left}
	default:
		return ConnFate{Verb: ConnClose}
	}
}

// Check reports what is wrong with t, by key.
func (t Timeout) Check(report func(field, problem string)) {
	notNegative(report, "after", t.After)
	t.Select.Check(report)
}

// String is like "timeout after 2s to 100%".
func (t Timeout) String() string {
	if t.After <= 0 {
		return "timeout to " + t.conns()
	}
	return fmt.Sprintf("timeout after %v to %s", t.After, t.conns())
}
