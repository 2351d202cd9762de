package toxic

import (
	"fmt"
	"math/rand/v2"
)

// DropResponse lets the dependency do the work and loses what it says: the
// request is passed on, the response is read to its end and dropped. A caller
// that tries again must not have the work done twice.
type DropResponse struct {
	Then   string `yaml:"then"` // What the caller sees: hang (the default; until it leaves, or is reset at the heal) or reset.
	Select `yaml:",inline"`
}

// DecideExchange drops the response to what Select takes.
func (d DropResponse) DecideExchange(_ *Head, _ *rand.Rand) Fate {
	if d.Then == "reset" {
		return Fate{Acts: DropBreak}
	}
	return Fate{Acts: Drop}
}

// Check reports what is wrong with d, by key.
func (d DropResponse) Check(report func(field, problem string)) {
	switch d.Then {
	case "", "hang", "reset":
	default:
		report("then", fmt.Sprintf("%q is neither hang nor reset", d.Then))
	}
	d.Select.Check(report)
}

// String is like "drop_response, then reset, to POST /pay".
func (d DropResponse) String() string {
	if d.Then == "reset" {
		return "drop_response, then reset, to " + d.Select.String()
	}
	return "drop_response to " + d.Select.String()
}
