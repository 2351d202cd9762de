package toxic

import (
	"fmt"
	"time"
)

// Flap is a link that goes down and up again and again, beginning with down:
// while it is down nothing passes, as in a partition, and what was stalled goes on
// when it is up. All connections that it takes see the same phase.
type Flap struct {
	Up     time.Duration `yaml:"up"`   // How long it passes.
	Down   time.Duration `yaml:"down"` // How long it does not.
	Select `yaml:",inline"`
}

// DecideConn tells the phase.
func (f Flap) DecideConn(m Moment) ConnFate {
	if f.Up <= 0 || f.Down <= 0 {
		return ConnFate{}
	}
	if at := m.Injected % (f.Up + f.Down); at < f.Down {
		return ConnFate{Verb: ConnStall, Again: f.Down - at}
	} else {
		return ConnFate{Again: f.Up + f.Down - at}
	}
}

// Check reports what is wrong with f, by key.
func (f Flap) Check(report func(field, problem string)) {
	for _, phase := range []struct {
		key string
		d   time.Duration
	}{{"up", f.Up}, {"down", f.Down}} {
		if phase.d == 0 {
			report(phase.key, "is missing")
		} else if phase.d < time.Millisecond || phase.d > maxDelay {
			report(phase.key, fmt.Sprintf("must be 1ms to %v", maxDelay))
		}
	}
	f.Select.Check(report)
}

// String is like "flap 2s down, 5s up, to 100%".
func (f Flap) String() string {
	return fmt.Sprintf("flap %v down, %v up, to %s", f.Down, f.Up, f.conns())
}
