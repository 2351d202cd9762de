package toxic

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Slicer cuts what is sent into small pieces: each is a segment of its own, so
// whoever takes one read for one message fails.
type Slicer struct {
	Size      int           `yaml:"size"`      // Mean bytes of a piece.
	Variation int           `yaml:"variation"` // A piece is size ± variation; absent means none.
	Delay     time.Duration `yaml:"delay"`     // Between two pieces; absent means none.
	Select    `yaml:",inline"`
}

// DecideConn lets the connection live.
func (s Slicer) DecideConn(Moment) ConnFate { return ConnFate{} }

// Cut draws a size; a piece has one byte at least.
func (s Slicer) Cut(n int, rng *rand.Rand) int {
	size := s.Size
	if s.Variation > 0 {
		size += rng.IntN(2*s.Variation+1) - s.Variation
	}
	return min(n, max(size, 1))
}

// Release lets a piece follow the one before it at a distance.
func (s Slicer) Release(_ int, at, free time.Duration, _ *rand.Rand) time.Duration {
	if free == 0 {
		return at
	}
	return max(at, free+s.Delay)
}

// Waits is true: the sender is not to be ahead by much.
func (s Slicer) Waits() bool { return true }

// Check reports what is wrong with s, by key.
func (s Slicer) Check(report func(field, problem string)) {
	if s.Size <= 0 {
		report("size", "must be at least one byte")
	}
	if s.Variation < 0 || s.Variation >= max(s.Size, 1) {
		report("variation", "must be 0 or more, and less than size")
	}
	notNegative(report, "delay", s.Delay)
	s.Select.Check(report)
}

// String is like "slicer 10 ± 5 bytes, 1ms apart, to 100%".
func (s Slicer) String() string {
	text := fmt.Sprintf("slicer %d", s.Size)
	if s.Variation > 0 {
		text += fmt.Sprintf(" ± %d", s.Variation)
	}
	text += " bytes"
	if s.Delay > 0 {
		text += fmt.Sprintf(", %v apart,", s.Delay)
	}
	return text + " to " + s.conns()
}
