package proxy

import (
	"math/rand/v2"
	"time"
)

// Verb is what the relay does with an exchange, ordered by how much it hides:
// of two verbs the greater one wins.
type Verb uint8

const (
	Pass    Verb = iota // let it through
	Respond             // answer in the dependency's place, which never sees it
	Break               // reset the caller's connection (RST)
	Hold                // let nothing through, either way, until the fault is healed or the caller leaves
)

// Fate is what happens to one exchange. The zero Fate lets it pass untouched.
type Fate struct {
	Delay time.Duration // before the request is passed on or answered; Break does not wait for it
	Verb  Verb

	// For Respond.
	Status     int
	RetryAfter time.Duration // 0 sends no Retry-After
	Body       string
	GRPCStatus int // to a gRPC call, if not 0; then Status may be 0

	// For Break.
	Connection bool // the connection of a stream, and not the stream alone
}

// And joins two fates of one exchange: delays add up, the greater verb wins
// with its answer. It commutes, so the order of toxics means nothing; between
// two answers the higher status wins.
func (f Fate) And(g Fate) Fate {
	sum := f.Delay + g.Delay
	if g.Verb > f.Verb || g.Verb == f.Verb && (g.Status > f.Status || g.Status == f.Status && (g.RetryAfter > f.RetryAfter || g.RetryAfter == f.RetryAfter && g.Body > f.Body)) {
		f = g
	}
	f.Delay = sum
	return f
}

// Head is what a toxic may look at: one request's head. Its slices are valid
// only during Decide.
type Head struct {
	Method, Path []byte // Path without query
	Header       func(name string) (value []byte, ok bool)
}

// Toxic decides the fate of an exchange. Decide is pure: it draws chance only
// from rng and acts on nothing; only the relay sleeps, answers and resets.
// Many connections call it at once.
type Toxic interface {
	Decide(x *Head, rng *rand.Rand) Fate
	String() string
}
