package toxic

import "fmt"

// Direction is a way that bytes go, or both.
type Direction uint8

const (
	Both       Direction = iota // the zero value: each way for itself
	Upstream                    // from the caller to the dependency
	Downstream                  // from the dependency to the caller
)

var directionNames = [...]string{"both", "upstream", "downstream"}

func (d Direction) String() string {
	if int(d) < len(directionNames) {
		return directionNames[d]
	}
	return fmt.Sprintf("direction(%d)", uint8(d))
}

// ParseDirection is the inverse of String.
func ParseDirection(s string) (Direction, error) {
	for i, name := range directionNames {
		if s == name {
			return Direction(i), nil
		}
	}
	return 0, fmt.Errorf("%q is not one of both, upstream, downstream", s)
}

// Covers reports whether what has direction d is about bytes that go the way of
// one, which is not Both.
func (d Direction) Covers(one Direction) bool { return d == Both || d == one }
