package toxic

import (
	"fmt"
	"time"
)

// ResetPeer resets the connection (RST) to both sides after a while; bytes pass
// until then.
type ResetPeer struct {
	After  time.Duration `yaml:"after"` // From the injection or the connection's begin; absent means at once.
	Select `yaml:",inline"`
}

// DecideConn resets when it is time.
func (r ResetPeer) DecideConn(m Moment) ConnFate {
	if left := r.After - m.Age(); left > 0 {
		return ConnFate{Again: left}
	}
	return ConnFate{Verb: ConnReset}
}

// Check reports what is wrong with r, by key.
func (r ResetPeer) Check(report func(field, problem string)) {
	notNegative(report, "after", r.After)
	r.Select.Check(report)
}

// String is like "reset_peer after 2s to 100%".
func (r ResetPeer) String() string {
	if r.After <= 0 {
		return "reset_peer to " + r.conns()
	}
	return fmt.Sprintf("reset_peer after %v to %s", r.After, r.conns())
}
