package toxic

import (
	"math/rand/v2"
	"time"
)

// Effects is what a fault may do to an exchange or a connection that it takes.
type Effects struct {
	Delays     bool // it takes longer, by what the fault says
	Slows      bool // it takes longer, by how much is not known
	Paces      bool // its body trickles, so that its status comes long before its end
	Holds      bool // it stays as it is until the heal, unless its caller leaves
	Ends       bool // it ends as the dependency did not end it: answered, cut short or reset
	Answers    bool // it is answered in the dependency's place
	Strikes    bool // those in flight end at once when the fault comes
	Spoils     bool // its caller may lack an answer, or have a wrong one, that the link saw whole
	Duplicates bool // the dependency gets it twice
	Drops      bool // its answer is read to the end, and kept from its caller
	Refuses    bool // it is refused, and leaves no record
	Marks      bool // the records of its link say what it touched
}

// EffectsOf is what t may do, as its decisions say it.
func EffectsOf(t Toxic) Effects {
	_, delays := t.(Latency)
	_, shapes := t.(Shaper)
	_, down := t.(Down)
	e := Effects{Delays: delays, Slows: shapes && !delays, Refuses: down, Marks: true}
	if x, ok := t.(ExchangeToxic); ok && !delays {
		f := x.DecideExchange(&Head{}, rand.New(rand.NewPCG(0, 0)))
		breaks := f.Verb == Break || f.BreaksDuring() || f.BreaksAfter()
		e.Paces, e.Duplicates, e.Answers, e.Strikes = f.Paces(), f.Duplicates(), f.Verb == Respond, breaks
		e.Slows, e.Drops = e.Paces, f.Drops()
		e.Holds = f.Verb >= Withhold || f.Acts&Drop != 0
		e.Ends = e.Answers || breaks || f.Acts&DropBreak != 0 || f.Truncates()
		e.Spoils = breaks || f.Truncates() || f.Corrupts() || f.CorruptsRequest()
	}
	if c, ok := t.(ConnToxic); ok {
		const later = time.Duration(1) << 60
		for _, m := range []Moment{{}, {Fresh: true}, {Injected: later, Opened: later}} { // at once, to a new one, in the end
			f := c.DecideConn(m)
			e.Slows = e.Slows || f.NoDial && f.Verb == ConnPass || f.Ends > 0
			e.Holds = e.Holds || f.Verb == ConnStall || f.Verb == ConnBlackhole
			e.Ends = e.Ends || f.Verb == ConnClose || f.Verb == ConnReset || f.Limited
		}
	}
	return e
}
