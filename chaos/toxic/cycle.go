package toxic

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Cycle makes a fault come and go while it is injected: on first, then off, and
// so on. Each time it goes is a heal, and each time it comes an injection, on
// open connections and on exchanges in flight as well.
type Cycle struct {
	On  time.Duration `yaml:"on"`  // How long it is in force.
	Off time.Duration `yaml:"off"` // How long it is not, after that.
}

// Required are the keys that may not be absent.
func (Cycle) Required() []string { return []string{"on", "off"} }

// Check reports what is wrong with c, by key.
func (c Cycle) Check(report func(field, problem string)) {
	if c.On < leastPhase {
		report("on", fmt.Sprintf("must be at least %v", leastPhase))
	}
	if c.Off < leastPhase {
		report("off", fmt.Sprintf("must be at least %v", leastPhase))
	}
}

// leastPhase keeps a cycle from being nothing but coming and going.
const leastPhase = time.Millisecond

// String is like "2s on, 3s off".
func (c Cycle) String() string {
	return unit.FormatDuration(c.On) + " on, " + unit.FormatDuration(c.Off) + " off"
}

// At reports whether the fault is in force that long after its injection, and
// when that changes next.
func (c Cycle) At(since time.Duration) (on bool, until time.Duration) {
	period := c.On + c.Off
	begun := since / period * period
	if since-begun < c.On {
		return true, begun + c.On
	}
	return false, begun + period
}
