package toxic

import (
	"math/rand/v2"

	"github.com/stormctl/stormctl/chaos/unit"
)

// Truncate ends the response in the middle of its body, with a FIN, as if it
// were whole: less comes than Content-Length says, or the last chunk does not.
// On HTTP/2 it is END_STREAM, and RST_STREAM where nothing says how long the body
// is. A body that is not longer than that is left alone.
type Truncate struct {
	After  unit.Size `yaml:"after"` // Bytes of the body that reach the caller; absent means none, the head alone.
	Select `yaml:",inline"`
}

// DecideExchange truncates what Select takes.
func (t Truncate) DecideExchange(_ *Head, _ *rand.Rand) Fate {
	return Fate{Truncate: Truncation{On: true, After: int64(t.After)}}
}

// Check reports what is wrong with t, by key.
func (t Truncate) Check(report func(field, problem string)) {
	if t.After < 0 {
		report("after", "must not be negative")
	}
	t.Select.Check(report)
}

// String is like "truncate after 1KiB to GET /items".
func (t Truncate) String() string {
	return "truncate after " + t.After.String() + " to " + t.Select.String()
}
