package judge

import (
	"fmt"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// place is where events are seen as they are delivered or take effect: a link, at which
// each is a call that carries the id of its request and has a time, or an audit, which
// lists the ids in the order in which they were applied, one applied twice twice.
type place struct {
	name  string
	link  *evidence.Link
	audit *evidence.Audit
}

// placeOf finds what a claim names. A link goes before an audit of its name.
func placeOf(run *evidence.Run, at Links) place {
	p := place{name: at.String(), link: at.in(run)}
	if p.link == nil && len(at) == 1 {
		p.audit = run.Audit(at[0])
	}
	return p
}

// untold says why the place shows nothing; "" if it does.
func (p place) untold(run *evidence.Run) string {
	switch {
	case p.link != nil:
		return ""
	case p.audit == nil && (run.Brief || run.Partial):
		return fmt.Sprintf("what is at %s in the end shows when the run is over", p.name)
	case p.audit == nil:
		return fmt.Sprintf(noLink+", or an audit", p.name)
	case !p.audit.Whole:
		return fmt.Sprintf("audit %s does not tell what is there: %s", p.name, p.audit.Why)
	}
	return ""
}

// longerSettle is what to do where things had not settled.
const longerSettle = "let load.settle be longer"

// moving says why what an audit did not find may yet come, and why it does not agree with another; "" if it does not.
func moving(a *evidence.Audit) string {
	if a == nil || a.Moved == "" {
		return ""
	}
	return fmt.Sprintf("what had not settled at audit %s (%s)", a.Name, a.Moved)
}

// unsettled is why an audit tells nothing yet, and what to do; "" if it does.
func unsettled(a *evidence.Audit) string {
	if why := moving(a); why != "" {
		return why + " is not known: " + longerSettle
	}
	return ""
}

// until is up to when the place shows what took effect.
func (p place) until(run *evidence.Run) time.Duration {
	if p.audit != nil {
		return max(horizon(run), p.audit.At)
	}
	return horizon(run)
}

// entries are the ids of an audit that are of this run, and how many others there are.
func (p place) entries(run *evidence.Run) (ids []uint64, others int) {
	for _, id := range p.audit.IDs {
		if id == load.ForeignValue || id == load.NoValue || run.Earlier(id) {
			others++
			continue
		}
		ids = append(ids, id)
	}
	return ids, others
}

// firstTime is when something first happened: not before from, and surely by to. Both are
// on the clock of the run, or, in an audit, the number of the entry.
type firstTime struct{ from, to time.Duration }

// notSeen is that of what did not happen.
var notSeen = firstTime{never, never}

// firsts is when the events of requests first happened at the place, by id, and how many
// calls may be anybody's. happens is what a call counts as; see effectOf.
func (p place) firsts(run *evidence.Run, happens func(x *evidence.Exchange) effectCount) (all map[uint64]firstTime, nameless int) {
	if p.audit != nil {
		ids, _ := p.entries(run)
		all = make(map[uint64]firstTime, len(ids))
		for i, id := range ids {
			if _, again := all[id]; !again {
				all[id] = firstTime{time.Duration(i), time.Duration(i)}
			}
		}
		return all, 0
	}
	all = make(map[uint64]firstTime, len(p.link.Exchanges))
	for i := range p.link.Exchanges {
		x := &p.link.Exchanges[i]
		n := happens(x)
		if n.high == 0 {
			continue
		}
		if x.ID == 0 {
			nameless++
			continue
		}
		m, again := all[x.ID]
		if !again {
			m = notSeen
		}
		m.from = min(m.from, x.Begin)
		if n.low > 0 {
			m.to = min(m.to, x.End)
		}
		all[x.ID] = m
	}
	return all, nameless
}

// delivery counts each call that came to its callee, or may have, as one.
func delivery(x *evidence.Exchange) effectCount {
	switch {
	case readOnly(x) || x.Ending == evidence.Injected && x.OwnStatus() == 0:
		return effectCount{}
	case reached(x):
		return effectCount{1, 1}
	}
	return effectCount{0, 1}
}

// reached reports whether a call surely came to its callee: it was answered, or its caller left
// while nothing was in its way.
func reached(x *evidence.Exchange) bool {
	return x.OwnStatus() != 0 || x.Ending == evidence.CallerGone && x.Faults == 0 && x.Further == nil
}

// when prints a moment: a time, or the number of an entry.
func (p place) when(at time.Duration) string {
	if p.audit != nil {
		return fmt.Sprintf("as no. %d of audit %s", at+1, p.name)
	}
	return "at " + short(at)
}

// firstTimeOf is when an event first happened.
func firstTimeOf(firsts map[uint64]firstTime, id uint64) firstTime {
	if m, ok := firsts[id]; ok {
		return m
	}
	return notSeen
}
