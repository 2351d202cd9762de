package toxic

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Toxic is a fault of a link. What it can be about is an ExchangeToxic, a
// ConnToxic, or both.
type Toxic interface {
	Selection() Select // what it is for; every toxic has it by embedding Select
	String() string
}

// ExchangeToxic decides the fate of exchanges, on links that speak HTTP.
type ExchangeToxic interface {
	Toxic
	// DecideExchange decides about an exchange that Select takes. It is pure: it
	// draws chance only from rng and acts on nothing; only the relay sleeps, answers
	// and resets. Many connections call it at once.
	DecideExchange(_ *Head, _ *rand.Rand) Fate
}

// ConnToxic decides the fate of connections, whatever is spoken on them. One that
// decides about their bytes as well is a Shaper. All its methods are pure, and the
// relay calls them from one goroutine.
type ConnToxic interface {
	Toxic
	// DecideConn says what holds, at this moment, for a connection that Select takes.
	DecideConn(m Moment) ConnFate
}

// Shaper is a ConnToxic that delays bytes.
type Shaper interface {
	ConnToxic
	// Cut is how many of the next n bytes go on in one piece: 1 to n.
	Cut(n int, rng *rand.Rand) int
	// Release is when a piece of n bytes that arrives at a time goes on; free
	// is when the piece before it did, and 0 for the first. The relay keeps
	// pieces in order, whatever it answers. Times have an origin of the
	// relay's.
	Release(n int, at, free time.Duration, rng *rand.Rand) time.Duration
	// Waits reports whether the sender is to wait until its bytes go on, as
	// behind a narrow link; otherwise they are under way, as on a long one.
	Waits() bool
}

// GrowsInSize reports whether what t does grows over its ramp, and not its share.
func GrowsInSize(t Toxic) bool {
	_, delays := t.(Latency)
	return delays && t.Selection().Ramp > 0
}

// OnExchanges is t for a link that passes exchanges; an error says why it is none.
func OnExchanges(t Toxic) (ExchangeToxic, error) {
	if e, ok := t.(ExchangeToxic); ok {
		return e, nil
	}
	return nil, fmt.Errorf("%v is about connections, and not about exchanges", t)
}

// OnConns is t for a link that knows connections only; an error says why it is
// none.
func OnConns(t Toxic) (ConnToxic, error) {
	c, ok := t.(ConnToxic)
	if !ok {
		return nil, fmt.Errorf("%v is about exchanges, and not about connections", t)
	}
	if m := t.Selection().Match; m != nil && !m.knowsConn() {
		return nil, fmt.Errorf("match: of connections it takes connection alone, which counts from 1")
	}
	if l, ok := t.(Latency); ok && (l.On != "" || l.Recorded != "") {
		return nil, fmt.Errorf("%v: on and recorded are about exchanges", t)
	}
	return c, nil
}
