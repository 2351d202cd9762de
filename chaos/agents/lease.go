package agents

import (
	"cmp"
	"time"
)

// leases are for how long a side that is silent is still taken to be there; 0 means LostAfter
// or StopAfter.
type leases struct{ lostAfter, stopAfter time.Duration }

func (l leases) lost() time.Duration { return cmp.Or(l.lostAfter, LostAfter) }
func (l leases) stop() time.Duration { return cmp.Or(l.stopAfter, StopAfter) }

// beat is how often to be heard of: three times before one is lost.
func (l leases) beat() time.Duration { return min(l.lost(), l.stop()) / 3 }
