package toxic

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

// SlowBody lets the body of the response trickle: at a rate, or in pieces with a
// pause before each. Its head comes at once. Give rate, or piece and pause.
type SlowBody struct {
	Rate   unit.Bandwidth `yaml:"rate"`  // Bytes per second.
	Piece  unit.Size      `yaml:"piece"` // Bytes at a time.
	Pause  time.Duration  `yaml:"pause"` // Before each piece; before one that is smaller, as much less.
	Select `yaml:",inline"`
}

// smooth is how far apart the pieces are that make a rate.
const smooth = 20 * time.Millisecond

// DecideExchange slows down what Select takes.
func (s SlowBody) DecideExchange(_ *Head, _ *rand.Rand) Fate { return Fate{Pace: s.pace()} }

func (s SlowBody) pace() Pace {
	if s.Rate <= 0 {
		return Pace{Piece: int64(s.Piece), Pause: s.Pause}
	}
	piece := max(int64(float64(s.Rate)*smooth.Seconds()), 1)
	return Pace{Piece: piece, Pause: time.Duration(float64(piece) / float64(s.Rate) * float64(time.Second))}
}

// Check reports what is wrong with s, by key.
func (s SlowBody) Check(report func(field, problem string)) {
	inPieces := s.Piece != 0 || s.Pause != 0
	switch {
	case s.Rate <= 0 && !inPieces:
		report("rate", "give a rate of at least 1B/s, or piece and pause")
	case s.Rate != 0 && s.Piece != 0:
		report("piece", "does not go with rate")
	case s.Rate != 0 && s.Pause != 0:
		report("pause", "does not go with rate")
	case s.Piece == 0 && inPieces:
		report("piece", "is missing: how many bytes come between two pauses")
	case s.Pause == 0 && inPieces:
		report("pause", "is missing: how long it takes until the next piece")
	case s.Piece < 0:
		report("piece", "must be at least 1B")
	case s.Pause < 0 || s.Pause > maxDelay:
		report("pause", fmt.Sprintf("must be more than 0 and at most %v", maxDelay))
	}
	s.Select.Check(report)
}

// String is like "slow_body 10KiB/s to 100%".
func (s SlowBody) String() string {
	if s.Rate > 0 {
		return "slow_body " + s.Rate.String() + " to " + s.Select.String()
	}
	return "slow_body " + s.Piece.String() + " every " + unit.FormatDuration(s.Pause) + " to " + s.Select.String()
}
