package toxic

import "math/rand/v2"

// Hang accepts requests and does not answer them: they are not passed on, and
// no response begins, until the fault is healed or the caller leaves. Then they
// go on their way, late. A response that has begun to reach its caller goes on,
// where a partition stops it.
type Hang struct {
	Select `yaml:",inline"`
}

// DecideExchange lets what Select takes hang.
func (h Hang) DecideExchange(_ *Head, _ *rand.Rand) Fate { return Fate{Verb: Withhold} }

// String is like "hang to 30%".
func (h Hang) String() string { return "hang to " + h.Select.String() }
