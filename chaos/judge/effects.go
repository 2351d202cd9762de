package judge

import (
	"fmt"
	"slices"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// Effects claims that each request takes effect once, although messages are delivered twice
// and answers are lost: whoever calls again must not have the work done again.
//
// At a link, an effect is a call that the dependency answered with success (below 400), also where a fault then
// kept the answer from its caller. GET, HEAD, OPTIONS and TRACE have none (RFC 9110). A call may have
// had an effect, or none, that no answer was seen of, or that was answered 5xx; one answered 4xx or 503, or
// by a fault in the dependency's place, had none. In an audit, an effect is an entry: what is there as often as it was
// applied, whoever called for it.
//
// What the caller knows of its request decides what there must be: of one that succeeded exactly so
// many; of one that was never sent, that was refused, or that ended with a status of not_done, none; of any
// other at most so many, for it may have been done.
type Effects struct {
	// The link on which effects are seen, or a list of links that lead to replicas of one dependency; or an audit of ids, which lists
	// each as often as it was applied.
	At    Links  `yaml:"at"`
	Route string `yaml:"route"` // The route whose requests take effect.
	// What takes effect: id, the request by its own id, or key, all requests of one Idempotency-Key together; absent means id.
	Per string `yaml:"per"`
	// Exactly so many effects of each; absent means 1.
	Exactly int `yaml:"exactly"`
	// What the dependency does with several calls of one Idempotency-Key: honoured, they are one effect, or ignored, each is one;
	// absent means that it is not known, so that only an audit of the dependency could tell.
	Keys    string `yaml:"keys"`
	Path    string `yaml:"path"`     // Only calls with this path count; absent means all.
	NotDone []int  `yaml:"not_done"` // Statuses by which the service promises its caller that nothing was done; absent means none.
	// Where deliveries are seen: a link to the consumer, or the link or the audit of one that does everything it is told; absent means the
	// links that lead to the caller of at, or to the target of an audit.
	Delivered Links `yaml:"delivered"`
}

// leastTwice is how many requests must have been delivered twice, or have been answered in vain.
const leastTwice = 20

func (c Effects) exactly() int { return max(1, c.Exactly) }

func (c Effects) per() string {
	if c.Per == "key" {
		return "Idempotency-Key"
	}
	return "request"
}

func (c Effects) String() string {
	return fmt.Sprintf("each %s of %s takes effect %s at %s", c.per(), c.Route, often(c.exactly()), c.At)
}

// Judge implements Claim.
func (c Effects) Judge(run *evidence.Run) Verdict {
	f := find(run, c, "effects")
	f.over(c.At...)
	at := placeOf(run, c.At)
	requests, known := samplesOf(run, c.Route)
	switch why := at.untold(run); {
	case why != "":
		f.open("at", "%s", why)
		return f.verdict()
	case !known:
		f.open("exactly", noRoute, c.Route)
		return f.verdict()
	}
	f.rests(0, horizon(run), 0)
	requests = endedBy(requests, at.until(run))
	var seen ledger
	if at.audit != nil {
		seen = c.effectsIn(run, at)
	} else {
		seen = c.effectsAt(run, at.link)
	}
	switch {
	case seen.calls == 0 && at.audit != nil && seen.nameless == 0:
		f.open("exactly", "no entry of audit %s is a request of this run (%d are something else): is ids where their ids are, "+
			"and does what it lists get what is sent?", c.At, seen.others)
		return f.verdict()
	case seen.calls > 0 || seen.nameless == 0:
	case c.Per == "key":
		f.open("exactly", "no call over %q carries an Idempotency-Key: let requests have one and the system pass it on, or count per: id",
			c.At)
		return f.verdict()
	default:
		f.open("exactly", "no call over %q carries the id of a request: let the system pass on X-Request-Id or traceparent", c.At)
		return f.verdict()
	}
	t := c.tally(run, at, seen, requests)
	c.write(f, t)
	c.judgeMost(f, t, seen)
	c.judgeLeast(f, t, seen)
	c.judgeFailed(f, t, seen)
	if t.twice < leastTwice && rulingOf(f.parts) != Refuted {
		how := "say by delivered where deliveries are seen, and let a fault repeat more of them"
		if at.link != nil && len(c.Delivered) == 0 {
			how = fmt.Sprintf("duplicate or drop_response on a link to %q, or drop_response on %q, for longer", at.link.From, c.At)
		}
		f.open("exactly", "only %s delivered twice, or answered in vain, and at least %d are needed to see what that does: %s",
			were(t.twice, "request was", "requests were"), leastTwice, how)
	}
	if seen.others > 0 {
		f.remark("at", "%s of the audit are not of this run, or of its warm-up", were(seen.others, "entry", "entries"))
	}
	f.typical("", "requests that were delivered twice, or answered in vain", t.examples...)
	return f.verdict()
}

// certainty is what the caller knows of its request: whether it was done.
type certainty uint8

const (
	not certainty = iota // it was not done
	perhaps
	surely // it was
)

func (c Effects) certaintyOf(s *load.Sample) certainty {
	switch {
	case s.Outcome == load.OK:
		return surely
	case s.Outcome == load.Unsent, s.Outcome == load.Refused, s.Status != 0 && slices.Contains(c.NotDone, s.Status):
		return not
	}
	return perhaps
}

// effectCount is how many effects something had, at least and at most.
type effectCount struct{ low, high int32 }

func (n *effectCount) add(m effectCount) { n.low, n.high = n.low+m.low, n.high+m.high }

// effectOf is that of one call.
func effectOf(run *evidence.Run, x *evidence.Exchange) (n effectCount) {
	switch own := x.OwnStatus(); {
	case own >= 200 && own < 400:
		n = effectCount{1, 1}
	case own == 503, own >= 400 && own < 500:
		return effectCount{}
	case x.Ending == evidence.Injected && own == 0 && !answeredLate(run, x):
		return effectCount{}
	default:
		n = effectCount{0, 1}
	}
	for f := range run.Hits(x) {
		if f.Does().Duplicates {
			n.high++ // of its second delivery no answer is recorded
		}
	}
	return n
}

// answeredLate reports whether a fault answered a call that may have reached the dependency before.
func answeredLate(run *evidence.Run, x *evidence.Exchange) bool {
	for f := range run.Hits(x) {
		if f.Does().Answers && f.Injected <= x.Begin {
			return false
		}
	}
	return true
}

// takesEffect reports whether a call counts.
func (c Effects) takesEffect(x *evidence.Exchange) bool {
	return !readOnly(x) && (c.Path == "" || x.Path == c.Path)
}

// readOnly reports whether a call has no effect, whatever it is answered.
func readOnly(x *evidence.Exchange) bool {
	switch x.Method {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}

// ledger is the effects that were seen, by what they are counted per. It is made of a link, or of an
// audit of what is there in the end.
type ledger struct {
	by       func(what uint64) effectCount // by request id, or by Idempotency-Key; there may be millions, and none is kept
	nameless int                           // calls of which it is not known
	others   int                           // entries that are of no request of this run
	called
}

// called is what calls, or entries, came to.
type called struct {
	effects effectCount
	calls   int // that carry what is counted per
	unknown int // calls that may have had an effect, and the second deliveries of which no answer is recorded
	keyed   int // further calls of one Idempotency-Key, which the dependency may take for the first
}

func (n *called) add(m called) {
	n.effects.add(m.effects)
	n.calls, n.unknown, n.keyed = n.calls+m.calls, n.unknown+m.unknown, n.keyed+m.keyed
}

// effectsIn reads the effects off an audit.
func (c Effects) effectsIn(run *evidence.Run, at place) ledger {
	names, others := at.entries(run)
	l := ledger{others: others}
	if c.Per == "key" {
		ids := names
		names = make([]uint64, 0, len(ids))
		for _, id := range ids {
			if key := keyOf(run, id); key != 0 {
				names = append(names, key)
			}
		}
		l.nameless = len(ids) - len(names)
	}
	l.calls = len(names)
	listed := listOf(names)
	l.by = func(what uint64) effectCount {
		n := int32(len(listed.of(what)))
		return effectCount{n, n}
	}
	return l
}

// effectsAt reads the effects off a link.
func (c Effects) effectsAt(run *evidence.Run, link *evidence.Link) ledger {
	return c.ledgerOf(run, link, c.takesEffect)
}

// ledgerOf reads the effects of some calls off a link.
func (c Effects) ledgerOf(run *evidence.Run, link *evidence.Link, takes func(x *evidence.Exchange) bool) (l ledger) {
	order, callsOf, name := link.ByID(), link.CausedBy, func(x *evidence.Exchange) uint64 { return x.ID }
	if c.Per == "key" {
		name = func(x *evidence.Exchange) uint64 { return x.Key }
		keys := make([]uint64, len(link.Exchanges))
		for i := range keys {
			keys[i] = name(&link.Exchanges[i])
		}
		listed := listOf(keys)
		order, callsOf = listed.places, listed.of
	}
	sum := func(calls []int32) called { return c.sum(run, link, calls, takes) }
	for i := range link.Exchanges {
		if x := &link.Exchanges[i]; name(x) == 0 && takes(x) {
			l.nameless++
		}
	}
	for len(order) > 0 {
		n, what := 1, name(&link.Exchanges[order[0]])
		for n < len(order) && name(&link.Exchanges[order[n]]) == what {
			n++
		}
		if what != 0 {
			l.add(sum(order[:n]))
		}
		order = order[n:]
	}
	l.by = func(what uint64) effectCount { return sum(callsOf(what)).effects }
	return l
}

// sum is what some calls came to, in their order.
func (c Effects) sum(run *evidence.Run, link *evidence.Link, calls []int32, takes func(x *evidence.Exchange) bool) (all called) {
	var byKey map[uint64]effectCount // of keys that may be taken for one; most requests have one call, and need none
	if len(calls) > 1 {
		byKey = map[uint64]effectCount{}
	}
	for _, at := range calls {
		x := &link.Exchanges[at]
		if !takes(x) {
			continue
		}
		all.calls++
		n := effectOf(run, x)
		if n.low < n.high {
			all.unknown++
		}
		if x.Key != 0 && c.Keys != "ignored" {
			before, again := byKey[x.Key]
			sum := before
			sum.add(n)
			if byKey != nil {
				byKey[x.Key] = sum
			}
			if again && c.Keys == "" && n.high > 0 && before.high > 0 {
				all.keyed++
			}
			now := c.asOne(sum)
			was := c.asOne(before)
			n = effectCount{now.low - was.low, now.high - was.high}
		}
		all.effects.add(n)
	}
	return all
}

// asOne is how many effects calls of one key have that the dependency takes, or may take, for one.
func (c Effects) asOne(n effectCount) effectCount {
	n.low = min(n.low, 1)
	if c.Keys == "honoured" {
		n.high = min(n.high, 1)
	}
	return n
}

// of is the effects of one; calls that carry no name may be its own.
func (l ledger) of(what uint64) effectCount {
	n := l.by(what)
	n.high += int32(l.nameless)
	return n
}
