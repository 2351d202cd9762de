package toxic

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/unit"
)

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

// covers tells whether what has direction d is about bytes that go the way of
// one, which is not Both.
func (d Direction) Covers(one Direction) bool { return d == Both || d == one }

// Stream is a toxic for the bytes of connections, whatever they mean. It
// decides, and only the relay acts. All its methods are pure: they draw chance
// only from rng. The relay calls them from one goroutine.
//
// One that decides about bytes as well is a Shaper.
type Stream interface {
	// Takes tells whether the toxic is for a connection. It is asked once about
	// each.
	Takes(c Candidate, rng *rand.Rand) bool
	// Decide tells what holds for a connection that it takes.
	Decide(m Moment) StreamFate
	// Selection is the Conns that it embeds: the relay sees to Cycle, Ramp and
	// MaxActive.
	Selection() Conns
	String() string
}

// Candidate is a connection that a Stream may take.
type Candidate struct {
	Conn    uint64 // its number on the link, from 1
	Ordinal uint64 // among those that the toxic was asked about, from 1; those that were open come first
}

// Shaper is a Stream that delays bytes.
type Shaper interface {
	Stream
	// Cut tells how many of the next n bytes go on in one piece: 1 to n.
	Cut(n int, rng *rand.Rand) int
	// Release tells when a piece of n bytes that arrives at a time goes on; free
	// is when the piece before it did, and 0 for the first. The relay keeps
	// pieces in order, whatever it answers. Times have an origin of the
	// relay's.
	Release(n int, at, free time.Duration, rng *rand.Rand) time.Duration
	// Waits tells whether the sender is to wait until its bytes go on, as
	// behind a narrow link; otherwise they are under way, as on a long one.
	Waits() bool
}

// Moment is when a Stream is asked about a connection.
type Moment struct {
	Injected time.Duration // since the toxic was injected
	Grown    time.Duration // how long after that it had grown to the connection; 0 if it did not grow
	Opened   time.Duration // since the relay accepted the caller's connection
	Fresh    bool          // the connection came after the toxic
}

// Age is how long the toxic has had the connection.
func (m Moment) Age() time.Duration { return min(m.Injected-m.Grown, m.Opened) }

// Course is what a connection does, or one direction of it, ordered by how much
// it hides: of two the greater one wins.
type Course uint8

const (
	Flow   Course = iota // bytes pass
	Stall                // nothing passes, no end either, until the toxic is healed or decides otherwise
	Finish               // the relay closes the connection to both sides (FIN)
	Abort                // the relay resets the connection to both sides (RST)
	Forget               // nothing passes, and the toxic's end brings nothing back: then whatever a side sends is answered by a RST
)

// StreamFate is what happens to a connection, or to one direction of it. The
// zero value lets it pass untouched.
type StreamFate struct {
	Course Course
	NoDial bool          // the dependency is not dialled yet
	Ends   time.Duration // the end of the direction (FIN or RST) comes that much later
	Limit  int64         // with Limited: as many bytes pass, counted since the toxic has had the connection, then Finish
	Again  time.Duration // how long this holds; 0 is until the toxic is healed

	Limited bool
}

// Conns narrows a Stream to some connections. Every Stream embeds one. Its zero
// value takes nothing: who builds one in Go sets Share.
type Conns struct {
	Share     unit.Share    `yaml:"share"`      // Part of the connections it takes, drawn once for each; absent means 100%.
	Match     *ConnMatch    `yaml:"match"`      // Which connections match; absent means all.
	First     int           `yaml:"first"`      // Only the first so many connections since it was injected, those that are open then included; absent means all.
	Every     int           `yaml:"every"`      // Only every so manieth connection (3: the third, the sixth ...); absent means each.
	Cycle     *Cycle        `yaml:"cycle"`      // Comes and goes while it is injected, each time as if anew; absent means it stays.
	Ramp      time.Duration `yaml:"ramp"`       // Time in which it grows from nothing to full, in its share (latency: in its delay); absent means full at once.
	MaxActive int           `yaml:"max_active"` // Connections it may have hold of at a time; those past it go free and are counted as overflow. Absent means no bound.
}

// ConnMatch tells which connections a fault is for.
type ConnMatch struct {
	Connection int `yaml:"connection"` // Only the connection with this number, counted from 1 since the link began.
}

// Check reports what is wrong with m, by key.
func (m ConnMatch) Check(report func(field, problem string)) {
	if m.Connection <= 0 {
		report("connection", "counts from 1")
	}
}

// AllConns takes every connection.
var AllConns = Conns{Share: 1}

// Defaults sets what an absent key means.
func (c *Conns) Defaults() { c.Share = 1 }

// Check reports what is wrong with c, by key.
func (c Conns) Check(report func(field, problem string)) {
	if !(c.Share > 0 && c.Share <= 1) {
		report("share", "must be more than 0% and at most 100%: a fault that takes nothing proves nothing")
	}
	if c.First < 0 {
		report("first", "must be more than 0")
	}
	if c.Every < 0 {
		report("every", "must be more than 0")
	}
	if c.MaxActive < 0 {
		report("max_active", "must be more than 0")
	}
	if c.Ramp < 0 {
		report("ramp", "must not be negative")
	}
}

// Selection is the Conns that a toxic embeds.
func (c Conns) Selection() Conns { return c }

// Takes is about connections once it has grown to its full share. It makes every toxic that embeds Conns take the same connections for the
// same seed.
func (c Conns) Takes(x Candidate, rng *rand.Rand) bool {
	switch {
	case c.Match != nil && x.Conn != uint64(c.Match.Connection),
		c.First > 0 && x.Ordinal > uint64(c.First),
		c.Every > 1 && x.Ordinal%uint64(c.Every) != 0:
		return false
	}
	return c.Share >= 1 || rng.Float64() < float64(c.Share)
}

// TakesAll reports whether no connection is spared while it is in force.
func (c Conns) TakesAll() bool {
	return c.Share >= 1 && c.Match == nil && c.First <= 0 && c.Every <= 1 && c.Ramp <= 0 && c.MaxActive <= 0
}

// String describes which connections: "100%", "30%", "connection 3", "50% of the
// first 2, growing over 10s".
func (c Conns) String() string {
	var which []string
	if c.First > 0 {
		which = append(which, fmt.Sprintf("the first %d", c.First))
	}
	if c.Every > 1 {
		which = append(which, fmt.Sprintf("one of %d", c.Every))
	}
	if c.Match != nil {
		which = append(which, fmt.Sprintf("connection %d", c.Match.Connection))
	}
	what := strings.Join(which, ", ")
	switch {
	case len(which) == 0:
		what = c.Share.String()
	case c.Share < 1:
		what = c.Share.String() + " of " + what
	}
	return what + inTime(c.Cycle, c.Ramp, c.MaxActive)
}

// notNegative reports a duration below zero or past what anybody waits for.
func notNegative(report func(field, problem string), field string, d time.Duration) {
	if d < 0 || d > maxDelay {
		report(field, fmt.Sprintf("must be 0 to %v", maxDelay))
	}
}
