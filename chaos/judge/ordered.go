package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// Ordered claims that the events of one key take effect in the order in which they were
// acknowledged, and that none is left out while later ones take effect.
//
// Only what is sure counts: an event that was acknowledged before another one of its key
// was sent comes first. It was overtaken if the other one's first effect had ended before
// its own began. Second effects are the matter of effects, and no order. An event is
// left out, which leaves a gap, if it never took effect and a later one of its key did; one
// that the audit parked lists was put aside, and is none.
type Ordered struct {
	// The link on which effects are seen, or the audit that lists them in the order in which they were applied.
	At     Links  `yaml:"at"`
	Writes string `yaml:"writes"` // The data that the events write: what routes name in writes.
	Per    string `yaml:"per"`    // What has an order of its own: key, the ${key} of the load; absent means key.
	// The audit that lists what was put aside and not applied; absent means that nothing may be.
	Parked string `yaml:"parked"`
	// Where deliveries are seen, in whatever order they come: a link to the consumer, the link or the audit of one that keeps no order;
	// absent means that it is not known, so that nothing can be held.
	Delivered Links `yaml:"delivered"`
}

// leastDisordered is how many events must have been delivered out of order.
const leastDisordered = 20

// shuffled is said of an audit whose order is none.
const shuffled = "audit %s listed the same ids in another order when it was asked again: let it list them as they were applied"

func (c Ordered) String() string {
	return fmt.Sprintf("%s of each key takes effect in order at %s", c.Writes, c.At)
}

// event is a request that writes, and when its first effect was.
type event struct {
	id, key      uint64
	sent, done   time.Duration
	acknowledged bool
	firstTime
}

// overtaking is an event and a later one of its key that took effect before it.
type overtaking struct{ late, by event }

// Judge implements Claim.
func (c Ordered) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "ordered")
	f.factual()
	f.over(c.At...)
	at := placeOf(run, c.At)
	known := slices.ContainsFunc(run.Access, func(a evidence.Access) bool { return a.Writes && a.Data == c.Writes })
	switch why := at.untold(run); {
	case !known:
		f.open("writes", "no route writes %s: give one writes: %s", c.Writes, c.Writes)
		return f.verdict()
	case why != "":
		f.open("at", "%s", why)
		return f.verdict()
	}
	if at.audit != nil && at.audit.Shuffled {
		f.open("order", shuffled, c.At)
		return f.verdict()
	}
	parked, why := c.parked(run)
	if why != "" {
		f.open("parked", "%s", why)
		return f.verdict()
	}
	first, nameless := at.firsts(run, func(x *evidence.Exchange) effectCount {
		if readOnly(x) {
			return effectCount{}
		}
		return effectOf(run, x)
	})
	writes := c.writes(run)
	o := ordersOf(run, writes, first, parked)
	if o.events > 0 && !o.effects {
		f.open("at", "no event of %s took effect at %s, so that there was no order to keep: is it where their ids are?", c.Writes, c.At)
		return f.verdict()
	}
	c.judgeOrder(f, at, o, nameless)
	c.judgeGaps(f, at, o, nameless, moving(run.Audit(c.Parked)))
	c.visited(f, run, writes, func(id uint64) bool { return parked[id] || first(id).from < never })
	return f.verdict()
}

// parked are the ids that were put aside.
func (c Ordered) parked(run *evidence.Run) (ids map[uint64]bool, why string) {
	if c.Parked == "" {
		return nil, ""
	}
	p := place{name: c.Parked, audit: run.Audit(c.Parked)}
	if why := p.untold(run); why != "" {
		return nil, why
	}
	ids = map[uint64]bool{}
	for _, id := range p.audit.IDs {
		ids[id] = true
	}
	return ids, ""
}

// write is where an event is, of which there may be millions: they are put together key by key.
type write struct {
	key          uint64
	place        int32 // in Run.Samples
	acknowledged bool
}

// writes are those of the data by key.
func (c Ordered) writes(run *evidence.Run) []write {
	n := 0
	for o := range run.Operations(c.Writes) {
		if o.Access.Writes {
			n++
		}
	}
	all := make([]write, 0, n)
	for o := range run.Operations(c.Writes) {
		if o.Access.Writes {
			all = append(all, write{o.Key, int32(o.Place), o.Certainty == evidence.Yes})
		}
	}
	slices.SortFunc(all, func(a, b write) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.place, b.place)) })
	return all
}

// ordering is what became of the order of events.
type ordering struct {
	events             int
	effects            bool // one of them took effect
	acknowledged, keys int
	overtaken, gaps    []overtaking
	parked             int // would be gaps
	unsure             int // may be gaps: it is not known whether they took effect
}

// ordersOf compares the events of each key; first is when one took effect.
func ordersOf(run *evidence.Run, writes []write, first func(id uint64) firstTime, parked map[uint64]bool) (o ordering) {
	var own []event // of a key, by when they were sent
	for len(writes) > 0 {
		n := 1
		for n < len(writes) && writes[n].key == writes[0].key {
			n++
		}
		own = slices.Grow(own[:0], n)
		for _, w := range writes[:n] {
			s := &run.Samples[w.place]
			own = append(own, event{id: s.ID, key: w.key, sent: s.Sent, done: s.Done, acknowledged: w.acknowledged, firstTime: first(s.ID)})
		}
		slices.SortFunc(own, func(a, b event) int { return cmp.Or(cmp.Compare(a.sent, b.sent), cmp.Compare(a.id, b.id)) })
		o.add(own, parked)
		writes = writes[n:]
	}
	return o
}

// add takes in the events of a key. It compares each acknowledged one with those that were sent after
// it was acknowledged: the one of them that surely took effect first.
func (o *ordering) add(own []event, parked map[uint64]bool) {
	first := make([]int32, len(own)) // for each, the one that took effect first of it and those behind
	for i := len(own) - 1; i >= 0; i-- {
		first[i] = int32(i)
		if i+1 < len(own) && own[first[i+1]].to < own[i].to {
			first[i] = first[i+1]
		}
	}
	o.keys++
	o.events += len(own)
	for i := range own {
		a := &own[i]
		o.effects = o.effects || a.from < never
		if !a.acknowledged {
			continue
		}
		o.acknowledged++
		later := sort.Search(len(own), func(k int) bool { return own[k].sent > a.done })
		if later == len(own) || own[first[later]].to == never {
			continue
		}
		o.compare(a, &own[first[later]], parked)
	}
}

// compare takes in an event, and one that was to come after it and has taken effect.
func (o *ordering) compare(a, by *event, parked map[uint64]bool) {
	switch {
	case a.from == never && parked[a.id]:
		o.parked++
	case a.from == never:
		o.gaps = append(o.gaps, overtaking{*a, *by})
	case by.to < a.from:
		o.overtaken = append(o.overtaken, overtaking{*a, *by})
	case a.to == never:
		o.unsure++
	}
}

// pairsOf are the requests that show it, the first first.
func pairsOf(all []overtaking) (ids []uint64) {
	all = slices.SortedFunc(slices.Values(all), func(a, b overtaking) int { return cmp.Compare(a.late.id, b.late.id) })
	for _, x := range all[:min(len(all), MaxIDs/2)] {
		ids = append(ids, x.late.id, x.by.id)
	}
	return ids
}

// firstOf is the one of the lowest id.
func firstOf(all []overtaking) overtaking {
	return slices.MinFunc(all, func(a, b overtaking) int { return cmp.Compare(a.late.id, b.late.id) })
}

func (c Ordered) judgeOrder(f *finding, at place, o ordering, nameless int) {
	f.numbers.Add("acknowledged", float64(o.acknowledged))
	f.numbers.Add("keys", float64(o.keys))
	f.numbers.Add("overtaken", float64(len(o.overtaken)))
	if o.acknowledged == 0 {
		f.open("order", "no write of %s was acknowledged, so that there was no order to keep", c.Writes)
		return
	}
	m := measure{name: "order", seen: interval(len(o.overtaken), len(o.overtaken)+nameless), allowed: atMost(0),
		sample: o.acknowledged, ids: pairsOf(o.overtaken),
		says: fmt.Sprintf("none of %s of %s was overtaken", were(o.acknowledged, "acknowledged event", "acknowledged events"),
			were(o.keys, "key", "keys"))}
	m.hidden, m.settle = anybodys(nameless)
	if why := moving(at.audit); why != "" {
		m.seen.High, m.hidden, m.settle = math.Inf(1), why, longerSettle
	}
	if len(o.overtaken) > 0 {
		x := firstOf(o.overtaken)
		m.refutes = fmt.Sprintf("%d of %s overtaken: event %d of key %d was acknowledged at %s and took effect %s, "+
			"when event %d, sent at %s, had taken effect %s",
			len(o.overtaken), were(o.acknowledged, "acknowledged event was", "acknowledged events were"),
			x.late.id, x.late.key, short(x.late.done), at.when(x.late.from),
			x.by.id, short(x.by.sent), at.when(x.by.to))
		f.numbers.Add("keys_overtaken", float64(keysIn(o.overtaken)))
	}
	f.rule(m)
}

// judgeGaps rules on what was left out. What comes after all leaves a gap all the same, for it was overtaken; what is parked does not.
func (c Ordered) judgeGaps(f *finding, at place, o ordering, nameless int, parking string) {
	f.numbers.Add("gaps", float64(len(o.gaps)))
	if c.Parked != "" {
		f.numbers.Add("parked", float64(o.parked))
	}
	if o.acknowledged == 0 {
		return
	}
	m := measure{name: "gaps", seen: interval(len(o.gaps), len(o.gaps)+o.unsure), allowed: atMost(0),
		sample: o.acknowledged, ids: pairsOf(o.gaps),
		says: "none was left out before a later one of its key took effect"}
	if o.parked > 0 {
		m.says += fmt.Sprintf(", but %d that are parked", o.parked)
	}
	if m.hidden, m.settle = anybodys(nameless); nameless > 0 {
		m.seen.Low = float64(max(0, len(o.gaps)-nameless))
	} else {
		m.hidden = were(o.unsure, "event", "events") + " of which it is not known whether they took effect"
		m.settle = "a fault that lets the dependency answer, as drop_response does, or an audit of what was applied, would tell"
	}
	if why := cmp.Or(parking, moving(at.audit)); why != "" {
		m.seen.High, m.hidden, m.settle = math.Inf(1), why, longerSettle
		if c.Parked != "" {
			m.seen.Low = 0
		}
	}
	if len(o.gaps) > 0 {
		x := firstOf(o.gaps)
		m.refutes = fmt.Sprintf("%d of %s left out: event %d of key %d was acknowledged at %s and has no effect, "+
			"and event %d, sent at %s, took effect %s",
			len(o.gaps), were(o.acknowledged, "acknowledged event was", "acknowledged events were"),
			x.late.id, x.late.key, short(x.late.done), x.by.id, short(x.by.sent), at.when(x.by.to))
	}
	f.rule(m)
}

func keysIn(all []overtaking) int {
	keys := map[uint64]bool{}
	for _, x := range all {
		keys[x.late.key] = true
	}
	return len(keys)
}

// anybodys is what calls without an id hide.
func anybodys(nameless int) (hidden, settle string) {
	return were(nameless, "call", "calls") + " that may be anybody's", "let the system pass on X-Request-Id or traceparent"
}

// visited asks whether an order was hard to keep, of events that came to something.
func (c Ordered) visited(f *finding, run *evidence.Run, writes []write, applied func(id uint64) bool) {
	p := placeOf(run, c.Delivered)
	switch why := p.untold(run); {
	case len(c.Delivered) == 0:
		f.open("delivered", "it is not known whether events were delivered out of order: say by delivered where deliveries are seen")
		return
	case why != "":
		f.open("delivered", "%s", why)
		return
	case p.audit != nil && p.audit.Shuffled:
		f.open("delivered", shuffled, c.Delivered)
		return
	}
	f.over(c.Delivered...)
	first, _ := p.firsts(run, delivery)
	n := 0
	for _, x := range ordersOf(run, writes, first, nil).overtaken {
		if applied(x.late.id) {
			n++
		}
	}
	f.numbers.Add("delivered_out_of_order", float64(n))
	if n < leastDisordered {
		f.open("delivered", "only %s delivered after a later one of its key at %s and took effect, and at least %d are needed: "+
			"cut acknowledgements off for longer, or offer more",
			were(n, "event was", "events were"), p.name, leastDisordered)
		return
	}
	f.remark("delivered", "%s delivered after a later one of its key at %s", were(n, "event was", "events were"), p.name)
}
