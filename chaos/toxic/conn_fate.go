package toxic

import (
	"fmt"
	"time"
)

// Moment is when a ConnToxic is asked about a connection.
type Moment struct {
	Injected time.Duration // since the toxic was injected
	Grown    time.Duration // how long after that it had grown to the connection; 0 if it did not grow
	Opened   time.Duration // since the relay accepted the caller's connection
	Fresh    bool          // the connection came after the toxic
}

// Age is how long the toxic has had the connection.
func (m Moment) Age() time.Duration { return min(m.Injected-m.Grown, m.Opened) }

// ConnVerb is what a connection does, or one direction of it, ordered by how much
// it hides: of two the greater one wins.
type ConnVerb uint8

const (
	ConnPass  ConnVerb = iota // bytes pass
	ConnStall                 // nothing passes, no end either, until the toxic is healed or decides otherwise
	ConnClose                 // the relay closes the connection to both sides (FIN)
	ConnReset                 // the relay resets the connection to both sides (RST)
	// nothing passes, and what was stalled is lost; once the toxic is healed, whatever a side sends is answered by a RST
	ConnBlackhole
)

// ConnFate is what happens to a connection, or to one direction of it. The
// zero value lets it pass untouched.
type ConnFate struct {
	Verb   ConnVerb
	NoDial bool          // the dependency is not dialled yet
	Ends   time.Duration // the end of the direction (FIN or RST) comes that much later
	Limit  int64         // with Limited: as many bytes pass, counted since the toxic has had the connection, then ConnClose
	Again  time.Duration // how long this holds; 0 is until the toxic is healed

	Limited bool
}

// notNegative reports a duration below zero or past maxDelay.
func notNegative(report func(field, problem string), field string, d time.Duration) {
	if d < 0 || d > maxDelay {
		report(field, fmt.Sprintf("must be 0 to %v", maxDelay))
	}
}
