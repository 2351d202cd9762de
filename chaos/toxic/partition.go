package toxic

import "math/rand/v2"

// Partition lets nothing through in either direction: connections hang, new
// ones are accepted by the kernel and hang too. What was held goes on its way
// when it heals: nothing is lost.
//
// It holds exchanges. That the dependency closes an idle connection still
// reaches the caller, and that a caller gives up reaches the dependency.
type Partition struct {
	Select `yaml:",inline"`
}

// Decide holds what Select takes.
func (p Partition) Decide(x *Head, rng *rand.Rand) Fate {
	if !p.Takes(x, rng) {
		return Fate{}
	}
	return Fate{Verb: Hold}
}

// String is like "partition to 100%".
func (p Partition) String() string { return "partition to " + p.Select.String() }
