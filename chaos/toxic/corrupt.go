package toxic

import (
	"cmp"
	"math/rand/v2"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Corrupt changes bytes of a body and keeps its length. Heads and the framing of
// chunks stay as they are.
type Corrupt struct {
	Bytes  unit.Share `yaml:"bytes"` // Part of the body's bytes that change, each by chance.
	On     string     `yaml:"on"`    // Whose body: response (the default) or request. A request that is on its way already is left alone.
	Select `yaml:",inline"`
}

// DecideExchange corrupts what Select takes.
func (c Corrupt) DecideExchange(_ *Head, rng *rand.Rand) Fate {
	which := Corruption{Share: float64(c.Bytes), Seed: rng.Uint64()}
	if c.On == onRequest {
		return Fate{CorruptRequest: which}
	}
	return Fate{Corrupt: which}
}

// Required are the keys that may not be absent.
func (Corrupt) Required() []string { return []string{"bytes"} }

// Check reports what is wrong with c, by key.
func (c Corrupt) Check(report func(field, problem string)) {
	if !(c.Bytes > 0 && c.Bytes <= 1) {
		report("bytes", "must be more than 0% and at most 100%")
	}
	checkOn(c.On, report)
	c.Select.Check(report)
}

// String is like "corrupt 1% of the response's bytes to 100%".
func (c Corrupt) String() string {
	on := c.On
	on = cmp.Or(on, onResponse)
	return "corrupt " + c.Bytes.String() + " of the " + on + "'s bytes to " + c.Select.String()
}
