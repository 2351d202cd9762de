package proxy

import "math/rand/v2"

// Reset resets the caller's connection (RST) instead of answering; calls in
// progress when it is injected are reset too.
type Reset struct {
	Select `yaml:",inline"`
}

// Decide breaks what Select takes.
func (r Reset) Decide(x *Head, rng *rand.Rand) Fate {
	if !r.takes(x, rng) {
		return Fate{}
	}
	return Fate{Verb: Break}
}

// String is like "reset to 5%".
func (r Reset) String() string { return "reset to " + r.Select.String() }
