package http

import (
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/chaos/proxy/link"
	"github.com/stormctl/stormctl/chaos/toxic"
	"github.com/stormctl/stormctl/load/wire"
)

// exchange is the one in progress on a connection, if it is open: how far it
// is, and what the toxics decided for it. h1Conn.mu guards it.
type exchange struct {
	link.Record
	open bool

	toHEAD, toCONNECT bool // the request's method, as far as it frames the response
	toUpgrade         bool // it asks for another protocol
	doubtful          bool // the request or its response may be read otherwise by a peer

	passed    bool       // the request has begun to reach the dependency: what delays it now delays its response
	answering bool       // the response, or ours instead, has begun to reach the caller: too late for another
	upgraded  bool       // the dependency has agreed to another protocol: the sides do not take turns any more
	waiting   bool       // the caller's side wants to be woken when it ends
	dropped   bool       // the response, which has begun to come, is dropped
	lost      bool       // it has come to its end
	answer    toxic.Fate // what we answer with; its Verb is Respond if we do

	decided []decision
	fate    toxic.Fate    // of all of them; its Delay and Late are not used, these are:
	since   time.Time     // when the delay of the request counts from
	delay   time.Duration // of the request
	ready   time.Time     // when the response's head was there; zero before
	late    time.Duration // delay of the response
}

// decision is what one toxic decided.
type decision struct {
	by   *active
	fate toxic.Fate // zero if it lets the exchange go, and if it is too late
}

// identify is the record of an exchange with this head, before it begins.
func (r *Relay) identify(head *toxic.Head) evidence.Exchange {
	x := evidence.Exchange{
		Conn: head.Conn, Method: r.names.of(head.Method), Path: r.names.of(head.Path), ID: r.requestID(head.Header),
	}
	if key, ok := head.Header("Idempotency-Key"); ok {
		x.Key = hashBytes(key)
	}
	return x
}

// requestID is the number of the arrival that caused the request, 0 if it
// carries none of this run.
func (r *Relay) requestID(header func(name string) (value []byte, ok bool)) uint64 {
	for _, name := range [...]string{r.config.IDHeader, "traceparent"} {
		if value, ok := header(name); ok {
			if id, ok := wire.ParseID(value, r.config.Run); ok {
				return id
			}
		}
	}
	return 0
}

// begin opens the exchange of what was identified.
func (x *exchange) begin(r *Relay, of evidence.Exchange) {
	*x = exchange{
		Record: link.Record{Exchange: of}, open: true,
		toHEAD: of.Method == "HEAD", toCONNECT: of.Method == "CONNECT", decided: x.decided[:0],
	}
	r.Begin(&x.Record)
}

// meet lets the toxics in force decide for an exchange that has begun just now.
func (x *exchange) meet(r *Relay, head *toxic.Head, chance *draw) {
	if toxics := *r.toxics.Load(); len(toxics) > 0 {
		x.since = time.Now()
		x.decide(r, toxics, head, chance)
	}
}

// review brings an exchange in progress into line with the toxics in force.
func (x *exchange) review(r *Relay, toxics []*active, head *toxic.Head, chance *draw) {
	x.drop(toxics)
	x.decide(r, toxics, head, chance)
}

// decide lets those toxics decide that have not yet.
func (x *exchange) decide(r *Relay, toxics []*active, head *toxic.Head, chance *draw) {
	before := x.decided
	for _, a := range toxics {
		if slices.ContainsFunc(before, func(d decision) bool { return d.by == a }) {
			continue
		}
		chance.about(a, x.ID, x.Seq)
		if x.add(a, a.decide(head, chance.rng), time.Now()) {
			a.mark.Overflowed()
		}
	}
	x.recordHits(r, toxic.Fate.AtOnce)
}

// recordHits notes that the toxics whose fates match have touched the exchange.
func (x *exchange) recordHits(r *Relay, match func(toxic.Fate) bool) {
	for _, d := range x.decided {
		if match(d.fate) {
			r.Touch(&x.Record, d.by.mark)
		}
	}
}

// ended is an exchange whose record is still to be told.
type ended struct {
	link.Record
	waiting bool
	breaks  bool // the connection is to be reset behind it
}

// finish ends the exchange, if it is open: it is not in flight any more. The
// result is told when the bytes that end it are written. breaks is whether a fault
// that resets behind the response resets the connection.
func (x *exchange) finish(r *Relay, how evidence.Ending, breaks bool) (e ended, ok bool) {
	if !x.open {
		return e, false
	}
	breaks = breaks && x.fate.BreaksAfter() && (how == evidence.Answered || how == evidence.Injected)
	if breaks {
		x.recordHits(r, toxic.Fate.BreaksAfter)
	}
	x.open = false
	x.release()
	if r.life.Closing() && (how == evidence.CallerGone || how == evidence.Failed) {
		how = evidence.Cut
	}
	r.End(&x.Record, how)
	return ended{x.Record, x.waiting, breaks}, true
}

// unwritten corrects what was finished, because the bytes that end it could not
// be written.
func (e *ended) unwritten(r *Relay) {
	e.Ending = evidence.CallerGone
	if r.life.Closing() {
		e.Ending = evidence.Cut
	}
}

// add takes in what a toxic decided at the time now, as far as it is not too
// late for it. over tells that the toxic would have touched the exchange, but
// for its bound.
func (x *exchange) add(a *active, f toxic.Fate, now time.Time) (over bool) {
	f = x.inTime(f)
	if f != (toxic.Fate{}) && !a.acquire() {
		over = true
		f = toxic.Fate{}
	}
	if !x.passed && f.Delay > 0 {
		// A delay counts from the end of those before it, or from now if they
		// are over.
		if over := now.Sub(x.since) - x.delay; over > 0 {
			x.since = x.since.Add(over)
		}
	}
	if x.passed { // what delays it now delays its response
		f.Delay, f.Late = 0, f.Delay+f.Late
	}
	x.join(decision{by: a, fate: f})
	return over
}

// inTime leaves out of a fate what it is too late for.
func (x *exchange) inTime(f toxic.Fate) toxic.Fate {
	if x.answering {
		f.Delay, f.Late = 0, 0
		f.Acts &^= toxic.Drop | toxic.DropBreak
		if f.Verb == toxic.Respond || f.Verb == toxic.Withhold {
			f = toxic.Fate{}
		}
	}
	return f
}

// drop forgets what toxics decided that are not in force any more; the rest of
// their delay is dropped with it.
func (x *exchange) drop(toxics []*active) {
	left := slices.DeleteFunc(x.decided, func(d decision) bool {
		gone := !slices.Contains(toxics, d.by)
		if gone {
			d.release()
		}
		return gone
	})
	x.decided, x.fate, x.delay, x.late = left[:0], toxic.Fate{}, 0, 0
	for _, d := range left {
		x.join(d)
	}
}

// release says that no toxic has hold of the exchange any more.
func (x *exchange) release() {
	for _, d := range x.decided {
		d.release()
	}
}

func (d decision) release() {
	if d.fate != (toxic.Fate{}) {
		d.by.release()
	}
}

// join adds a decision to those there are.
func (x *exchange) join(d decision) {
	x.decided = append(x.decided, d)
	x.fate = x.fate.And(d.fate)
	x.delay += d.fate.Delay
	x.late += d.fate.Late
}

// verb is what the toxics want. A response that was dropped does not come any
// more, so all there is left for its caller when that heals is to be told.
func (x *exchange) verb() toxic.Verb {
	switch {
	case x.fate.Verb == toxic.Withhold:
		return toxic.Stall // there is a difference only in what it is too late for
	case x.fate.Verb != toxic.Pass:
		return x.fate.Verb
	case x.dropped && !x.fate.Drops(), x.lost && x.fate.Acts&toxic.Drop == 0:
		return toxic.Break
	}
	return toxic.Pass
}

// requestGate tells what the caller's side has to do with the request at the
// time now: Stall until it is woken or until comes (zero: no such time), or
// whatever else the verb is. A delay is one more reason to hold.
func (x *exchange) requestGate(now time.Time) (verb toxic.Verb, until time.Time) {
	verb = x.verb()
	if verb == toxic.Respond && x.answering {
		verb = toxic.Pass // it is being answered, by us or by the dependency
	}
	if verb == toxic.Stall || verb == toxic.Break || x.passed || x.answering {
		return verb, time.Time{}
	}
	wait := x.delay
	if verb == toxic.Respond {
		wait += x.late
	}
	if due := x.since.Add(wait); wait > 0 && now.Before(due) {
		return toxic.Stall, due
	}
	return verb, time.Time{}
}

// responseGate tells what the dependency's side has to do, at the time now,
// with more of the response: Pass it on, Break, or Stall until it is woken or
// until comes. What the caller's side is about to answer waits here. final
// tells that this is part of the final response, not a 1xx before it.
func (x *exchange) responseGate(now time.Time, final bool) (verb toxic.Verb, until time.Time) {
	switch x.verb() {
	case toxic.Break:
		return toxic.Break, time.Time{}
	case toxic.Stall:
		return toxic.Stall, time.Time{}
	case toxic.Respond:
		if !x.answering {
			return toxic.Stall, time.Time{}
		}
	}
	if final && !x.answering && x.late > 0 {
		if x.ready.IsZero() {
			x.ready = now
		}
		if due := x.ready.Add(x.late); now.Before(due) {
			return toxic.Stall, due
		}
	}
	return toxic.Pass, time.Time{}
}
