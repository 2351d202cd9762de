package toxic

import "math/rand/v2"

// Duplicate delivers the request twice, the second time on a connection
// of its own as soon as the first is passed on, and drops the second response:
// the dependency must not do the work twice. A request of more than 4 MiB is
// delivered once, and so is one that asks for an upgrade.
type Duplicate struct {
	Select `yaml:",inline"`
}

// DecideExchange duplicates what Select takes.
func (d Duplicate) DecideExchange(_ *Head, _ *rand.Rand) Fate { return Fate{Acts: Twice} }

// String is like "duplicate to POST /pay".
func (d Duplicate) String() string { return "duplicate to " + d.Select.String() }
