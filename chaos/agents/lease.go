package agents

import (
	"cmp"
	"time"
)

// leases are how long who is not heard of is taken to be there; 0 is the constant.
type leases struct{ lostAfter, stopAfter time.Duration }

func (l leases) lost() time.Duration { return cmp.Or(l.lostAfter, LostAfter) }
func (l leases) stop() time.Duration { return cmp.Or(l.stopAfter, StopAfter) }

// beat is how often to be heard of: three times before one is lost.
func (l leases) beat() time.Duration { return min(l.lost(), l.stop()) / 3 }
