package toxic

import (
	"fmt"
	"math/rand/v2"
)

// Reset resets the caller's connection (RST): instead of answering, in the
// middle of the answer, or behind it. Calls in progress when it is injected are
// reset too, as far as it is not too late.
//
// On links that speak h2 or grpc it resets the call's stream, and the connection
// with its other calls goes on. Behind a response means there: in the place of
// its end.
type Reset struct {
	// before the request is passed on (the default), during (half of the response's body has passed; one byte, if
	// its length is not known), after the response.
	When string `yaml:"when"`
	// With h2 and grpc: resets the whole connection, with all calls on it.
	Connection bool `yaml:"connection"`
	Select     `yaml:",inline"`
}

// DecideExchange breaks what Select takes.
func (r Reset) DecideExchange(_ *Head, _ *rand.Rand) Fate {
	switch r.When {
	case "during":
		return Fate{Acts: BreakDuring, Connection: r.Connection}
	case "after":
		return Fate{Acts: BreakAfter, Connection: r.Connection}
	default:
		return Fate{Verb: Break, Connection: r.Connection}
	}
}

// Check reports what is wrong with r, by key.
func (r Reset) Check(report func(field, problem string)) {
	switch r.When {
	case "", "before", "during", "after":
	default:
		report("when", fmt.Sprintf("%q is not one of before, during, after", r.When))
	}
	r.Select.Check(report)
}

// String is like "reset to 5%", "reset during the response to 5%".
func (r Reset) String() string {
	when := ""
	if r.When == "during" || r.When == "after" {
		when = " " + r.When + " the response"
	}
	what := "reset"
	if r.Connection {
		what += " of the connection"
	}
	return what + when + " to " + r.Select.String()
}
