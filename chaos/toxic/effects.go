package toxic

import (
	"math/rand/v2"
	"time"
)

// Effects is what a fault may do to an exchange or a connection that it takes.
type Effects struct {
	Delays     bool // it takes longer
	Holds      bool // it stays as it is until the heal, unless its caller leaves
	Ends       bool // it ends as the dependency did not end it: answered, cut short or reset
	Alters     bool // bytes arrive that were not sent
	Duplicates bool // the dependency gets it twice
	Marks      bool // the records of its link say what it touched
}

// EffectsOf is what t may do, as its decisions say it.
func EffectsOf(t Toxic) Effects {
	_, shapes := t.(Shaper)
	e := Effects{Delays: shapes, Marks: true}
	if d, ok := t.(Down); ok {
		e.Marks = !d.RefusesAll() // while the listener is paused there is no connection to mark
	}
	if x, ok := t.(ExchangeToxic); ok && !shapes {
		f := x.DecideExchange(&Head{}, rand.New(rand.NewPCG(0, 0)))
		e.Delays = f.Delay > 0 || f.Late > 0 || f.Paces()
		e.Holds = f.Verb >= Withhold || f.Acts&Drop != 0
		e.Ends = f.Verb == Respond || f.Verb == Break || f.Acts&(DropBreak|BreakDuring|BreakAfter) != 0 || f.Truncates()
		e.Alters = f.Corrupts() || f.CorruptsRequest()
		e.Duplicates = f.Duplicates()
	}
	if c, ok := t.(ConnToxic); ok {
		const later = time.Duration(1) << 60
		for _, m := range []Moment{{}, {Fresh: true}, {Injected: later, Opened: later}} { // at once, to a new one, in the end
			f := c.DecideConn(m)
			e.Delays = e.Delays || f.NoDial && f.Verb == ConnPass || f.Ends > 0
			e.Holds = e.Holds || f.Verb == ConnStall || f.Verb == ConnBlackhole
			e.Ends = e.Ends || f.Verb == ConnClose || f.Verb == ConnReset || f.Limited
		}
	}
	return e
}
