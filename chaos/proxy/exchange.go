package proxy

import (
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// exchange is the one in progress on a connection, if it is open: how far it
// is, and what the toxics decided for it. conn.mu guards it.
type exchange struct {
	evidence.Exchange
	recorder *recorder // who was to be told when it began; may be nil
	open     bool

	toHEAD, toCONNECT bool // the request's method, as far as it frames the response

	passed    bool // the request has begun to reach the dependency: what delays it now delays its response
	answering bool // the response, or ours instead, has begun to reach the caller: too late for another
	tunnel    bool // bytes pass both ways until both sides have closed; nobody takes turns
	waiting   bool // the caller's side wants to be woken when it ends
	answer    Fate // what we answer with; its Verb is Respond if we do

	decided []decision
	fate    Fate          // of all of them; its Delay is not used, these are:
	since   time.Time     // when the delay of the request counts from
	delay   time.Duration // of the request
	ready   time.Time     // when the response's head was there; zero before
	late    time.Duration // delay of the response
}

// decision is what one toxic decided.
type decision struct {
	by   *active
	fate Fate
	late bool // its delay is one of the response
}

// knows tells whether the toxic has decided already.
func (x *exchange) knows(a *active) bool {
	return slices.ContainsFunc(x.decided, func(d decision) bool { return d.by == a })
}

// add takes in what a toxic decided at the time now, as far as it is not too
// late for it. It tells whether the toxic touches the exchange.
func (x *exchange) add(a *active, f Fate, now time.Time) bool {
	if x.answering {
		f.Delay = 0
		if f.Verb == Respond {
			f = Fate{}
		}
	}
	if !x.passed && f.Delay > 0 {
		// A delay counts from the end of those before it, or from now if they
		// are over.
		if over := now.Sub(x.since) - x.delay; over > 0 {
			x.since = x.since.Add(over)
		}
	}
	x.decided = append(x.decided, decision{a, f, x.passed})
	x.sum()
	if f == (Fate{}) {
		return false
	}
	x.Faults |= 1 << uint(a.index)
	return true
}

// drop forgets what toxics decided that are not in force any more; the rest of
// their delay is dropped with it.
func (x *exchange) drop(toxics []*active) {
	x.decided = slices.DeleteFunc(x.decided, func(d decision) bool { return !slices.Contains(toxics, d.by) })
	x.sum()
}

func (x *exchange) sum() {
	x.fate, x.delay, x.late = Fate{}, 0, 0
	for _, d := range x.decided {
		x.fate = x.fate.And(d.fate)
		if d.late {
			x.late += d.fate.Delay
		} else {
			x.delay += d.fate.Delay
		}
	}
}

// requestGate tells what the caller's side has to do with the request at the
// time now: Hold until it is woken or until comes (zero: no such time), or
// whatever else the verb is. A delay is one more reason to hold.
func (x *exchange) requestGate(now time.Time) (verb Verb, until time.Time) {
	verb = x.fate.Verb
	if verb == Respond && x.answering {
		verb = Pass // it is being answered, by us or by the dependency
	}
	if verb == Hold || verb == Break || x.passed || x.answering {
		return verb, time.Time{}
	}
	if due := x.since.Add(x.delay); x.delay > 0 && now.Before(due) {
		return Hold, due
	}
	return verb, time.Time{}
}

// responseGate tells what the dependency's side has to do, at the time now,
// with more of the response: Pass it on, Break, or Hold until it is woken or
// until comes. What the caller's side is about to answer is held here. final
// tells that this is part of the final response, not a 1xx before it.
func (x *exchange) responseGate(now time.Time, final bool) (verb Verb, until time.Time) {
	switch x.fate.Verb {
	case Break:
		return Break, time.Time{}
	case Hold:
		return Hold, time.Time{}
	case Respond:
		if !x.answering {
			return Hold, time.Time{}
		}
	}
	if final && !x.answering && x.late > 0 {
		if x.ready.IsZero() {
			x.ready = now
		}
		if due := x.ready.Add(x.late); now.Before(due) {
			return Hold, due
		}
	}
	return Pass, time.Time{}
}
