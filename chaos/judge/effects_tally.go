package judge

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// effectTally is what became of requests, or of all requests of one key together.
type effectTally struct {
	requests, acknowledged, maybe, failed int

	most, least, undone          Interval // effects of any; of those that were acknowledged; of those that surely failed
	mostIDs, leastIDs, undoneIDs []uint64 // those that refute what is claimed of them
	several                      int      // had clearly more than one

	twice    int      // requests that were delivered twice, or answered in vain
	examples []uint64 // some of them
	keyless  int      // requests of which no link saw a key
	moving   string   // why effects that the audit does not list may yet come, first or second ones; "" if they may not
}

// tally counts the effects of requests that ended.
func (c Effects) tally(run *evidence.Run, at place, l ledger, requests arrivals) *effectTally {
	t := &effectTally{least: Interval{math.Inf(1), math.Inf(1)}, moving: moving(at.audit)}
	recent := min(at.until(run)-flush, c.lastApplied(l, requests)) // what was acknowledged after that may take effect yet
	if run.Partial {
		recent = ever // nothing has settled
	}
	twice := c.deliveredTwice(run, at)
	type keyed struct {
		id     uint64
		knows  certainty
		recent bool
	}
	keys := map[uint64]keyed{}
	for _, s := range requests.all() {
		knows := c.certaintyOf(s)
		t.requests++
		if twice(s.ID) {
			t.twice++
			if len(t.examples) < MaxStaircase {
				t.examples = append(t.examples, s.ID)
			}
		}
		if c.Per != "key" {
			t.count(c.exactly(), s.ID, knows, l.of(s.ID), s.Done > recent)
			continue
		}
		key := keyOf(run, s.ID)
		if key == 0 {
			t.keyless++
			t.count(c.exactly(), s.ID, knows, effectCount{0, math.MaxInt32}, true)
			continue
		}
		k, again := keys[key]
		if !again {
			k = keyed{id: s.ID, knows: knows}
		}
		k.knows, k.recent = max(k.knows, knows), k.recent || s.Done > recent
		keys[key] = k
	}
	for key, k := range keys {
		t.count(c.exactly(), k.id, k.knows, l.of(key), k.recent)
	}
	return t
}

// count takes in one of them.
func (t *effectTally) count(exactly int, id uint64, knows certainty, n effectCount, recent bool) {
	seen := Interval{float64(n.low), float64(n.high)}
	if n.high == math.MaxInt32 || knows == surely && int(n.low) < exactly && recent || t.moving != "" {
		seen.High = math.Inf(1)
	}
	if n.low > 1 {
		t.several++
	}
	if knows == not {
		t.failed++
		t.undone = Interval{max(t.undone.Low, seen.Low), max(t.undone.High, seen.High)}
		if n.low > 0 {
			t.undoneIDs = append(t.undoneIDs, id)
		}
		return
	}
	t.most = Interval{max(t.most.Low, seen.Low), max(t.most.High, seen.High)}
	if int(n.low) > exactly {
		t.mostIDs = append(t.mostIDs, id)
	}
	if knows == perhaps {
		t.maybe++
		return
	}
	t.acknowledged++
	t.least = Interval{min(t.least.Low, seen.Low), min(t.least.High, seen.High)}
	if seen.High < float64(exactly) {
		t.leastIDs = append(t.leastIDs, id)
	}
}

// lastApplied is when the last request was sent that surely took effect. What was acknowledged
// after it may still be on its way, behind it.
func (c Effects) lastApplied(l ledger, requests arrivals) time.Duration {
	if c.Per == "key" {
		return never
	}
	last := ever
	for _, s := range requests.all() {
		if s.Sent > last && l.by(s.ID).low > 0 {
			last = s.Sent
		}
	}
	return last
}

// deliveredTwice makes out of where deliveries are seen whether a request was put to the test.
func (c Effects) deliveredTwice(run *evidence.Run, at place) func(id uint64) bool {
	if len(c.Delivered) == 0 {
		leads := c.leadTo(run, at)
		return func(id uint64) bool { return c.twice(run, leads, id) }
	}
	p := placeOf(run, c.Delivered)
	switch {
	case p.link != nil:
		return func(id uint64) bool {
			times := int32(0)
			for _, at := range p.link.CausedBy(id) {
				x := &p.link.Exchanges[at]
				if times += delivery(x).low; times > 1 || times > 0 && doubled(run, p.link, x) {
					return true
				}
			}
			return false
		}
	case p.untold(run) == "":
		listed := listOf(p.audit.IDs)
		return func(id uint64) bool { return len(listed.of(id)) > 1 }
	}
	return func(uint64) bool { return false }
}

// leadTo are the links that lead to the caller of the effects' links, or to the target of
// their audit.
func (c Effects) leadTo(run *evidence.Run, at place) (leads []*evidence.Link) {
	for _, l := range run.Links {
		if l == nil {
			continue
		}
		calls := func(name string) bool { return run.Links[name] != nil && run.Links[name].From == l.To }
		if at.audit != nil && at.audit.To == l.To || slices.ContainsFunc(c.At, calls) {
			leads = append(leads, l)
		}
	}
	return leads
}

// doubled reports whether a fault on the link has the call delivered twice.
func doubled(run *evidence.Run, l *evidence.Link, x *evidence.Exchange) bool {
	for f := range run.Hits(x) {
		if f.Does().Duplicates && f.On == l.Name {
			return true
		}
	}
	return false
}

// twice reports whether a request reached the system twice, or the system had no answer to a call
// that had an effect: it was put to the test.
func (c Effects) twice(run *evidence.Run, leads []*evidence.Link, id uint64) bool {
	for _, l := range leads {
		came := 0
		for _, at := range l.CausedBy(id) {
			if reached(&l.Exchanges[at]) {
				came++
			}
			if came > 1 || doubled(run, l, &l.Exchanges[at]) {
				return true
			}
		}
	}
	for _, name := range c.At {
		l := run.Links[name]
		if l == nil {
			continue
		}
		for _, at := range l.CausedBy(id) {
			if x := &l.Exchanges[at]; c.takesEffect(x) && (x.Own != 0 || failed(x)) && x.OwnStatus() >= 200 && x.OwnStatus() < 400 {
				return true
			}
		}
	}
	return false
}

// keyOf is the Idempotency-Key of a request, as any link saw it; 0 if none did.
func keyOf(run *evidence.Run, id uint64) uint64 {
	for _, l := range run.Links {
		if l == nil {
			continue
		}
		for _, at := range l.CausedBy(id) {
			if key := l.Exchanges[at].Key; key != 0 {
				return key
			}
		}
	}
	return 0
}

func (c Effects) write(f *finding, t *effectTally) {
	f.numbers.Add("requests", float64(t.requests))
	f.numbers.Add("acknowledged", float64(t.acknowledged))
	f.numbers.Add("maybe", float64(t.maybe))
	f.numbers.Add("surely_failed", float64(t.failed))
	f.numbers.Add("delivered_twice", float64(t.twice))
	f.numbers.Add("with_several_effects", float64(t.several))
}

// effectful prints what effects are counted of, in its number.
func (c Effects) effectful(n int) string {
	if c.Per == "key" {
		return were(n, "key", "keys")
	}
	return were(n, "request", "requests")
}

// judgeMost rules on the most effects of any.
func (c Effects) judgeMost(f *finding, t *effectTally, l ledger) {
	n := t.acknowledged + t.maybe
	if n == 0 {
		f.open("exactly", "no request of %q ended in a way that allows an effect: offer more, or let some succeed", c.Route)
		return
	}
	says := fmt.Sprintf("none of %s had more than %s", c.effectful(n), were(int(t.most.Low), "effect", "effects"))
	if t.twice > 0 {
		says += fmt.Sprintf(", %d of which were delivered twice, or answered in vain: at most %.2g%% of such have more", t.twice, min(100,
			300/float64(t.twice)))
	}
	m := measure{name: "exactly", seen: t.most, allowed: atMost(c.exactly()), sample: n, ids: t.mostIDs, says: says,
		refutes: fmt.Sprintf("%d of %s had too many effects, the one with most %d", len(t.mostIDs), c.effectful(n), int(t.most.Low))}
	m.hidden, m.settle = c.hidden(t, l)
	f.rule(m)
}

// judgeLeast rules on the fewest effects of those that were acknowledged.
func (c Effects) judgeLeast(f *finding, t *effectTally, l ledger) {
	if t.acknowledged == 0 {
		f.remark("exactly", "no request of %q was acknowledged, so that none had to take effect", c.Route)
		return
	}
	m := measure{name: "exactly", seen: t.least, allowed: atLeast(c.exactly()), sample: t.acknowledged, ids: t.leastIDs,
		says: fmt.Sprintf("%s acknowledged, and each had %s at least", c.effectful(t.acknowledged), were(int(t.least.Low), "effect",
			"effects")),
		refutes: fmt.Sprintf("%d of %s acknowledged had too few effects, the one with fewest %d", len(t.leastIDs),
			c.effectful(t.acknowledged), int(t.least.Low))}
	m.hidden, m.settle = c.hidden(t, l)
	f.rule(m)
}

// judgeFailed rules on the effects of those that surely failed.
func (c Effects) judgeFailed(f *finding, t *effectTally, l ledger) {
	if t.failed == 0 {
		return
	}
	m := measure{name: "not_done", seen: t.undone, allowed: atMost(0), sample: t.failed, ids: t.undoneIDs,
		says:    fmt.Sprintf("%s surely failed, and had %s at most", c.effectful(t.failed), were(int(t.undone.Low), "effect", "effects")),
		refutes: fmt.Sprintf("%d of %s that surely failed took effect all the same", len(t.undoneIDs), c.effectful(t.failed))}
	m.hidden, m.settle = c.hidden(t, l)
	f.rule(m)
}

// hidden is what keeps counts from being known.
func (c Effects) hidden(t *effectTally, l ledger) (hidden, settle string) {
	switch {
	case t.moving != "":
		return t.moving, longerSettle
	case t.keyless > 0:
		return were(t.keyless, "request", "requests") + " whose Idempotency-Key no link saw", "send one with each, or count per: id"
	case l.nameless > 0:
		return were(l.nameless, "call", "calls") + " that may be anybody's",
			"let the system pass on X-Request-Id or traceparent, and Idempotency-Key"
	case l.keyed > 0:
		return were(l.keyed, "further call", "further calls") + " with the key of one before, which may be no effect of its own",
			"say what the dependency does with keys (keys), or see by an audit what is there"
	case l.unknown > 0:
		return were(l.unknown, "call", "calls") + " of which it is not known whether it had an effect",
			"a fault that lets the dependency answer, as drop_response does, or an audit of what is there, would tell"
	}
	return "what was acknowledged in the last moments", "a longer run would tell"
}
