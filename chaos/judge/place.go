package judge

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
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

// entries are the ids of an audit that are of this run, and how many others there are. They may be the audit's own: they
// must not be changed.
func (p place) entries(run *evidence.Run) (ids []uint64, others int) {
	foreign := func(id uint64) bool { return id == load.ForeignValue || id == load.NoValue || run.Earlier(id) }
	for _, id := range p.audit.IDs {
		if foreign(id) {
			others++
		}
	}
	if others == 0 {
		return p.audit.IDs, 0
	}
	ids = make([]uint64, 0, len(p.audit.IDs)-others)
	for _, id := range p.audit.IDs {
		if !foreign(id) {
			ids = append(ids, id)
		}
	}
	return ids, others
}

// idList is some ids, and where in them each is: four bytes an id, where a map takes some thirty.
type idList struct {
	ids    []uint64
	places []int32 // by id, and those of one id in order
}

func listOf(ids []uint64) idList {
	l := idList{ids, make([]int32, len(ids))}
	for i := range l.places {
		l.places[i] = int32(i)
	}
	slices.SortFunc(l.places, func(a, b int32) int { return cmp.Or(cmp.Compare(ids[a], ids[b]), cmp.Compare(a, b)) })
	return l
}

// of is where an id is, in order; it must not be changed.
func (l idList) of(id uint64) []int32 {
	from := sort.Search(len(l.places), func(i int) bool { return l.ids[l.places[i]] >= id })
	to := from
	for to < len(l.places) && l.ids[l.places[to]] == id {
		to++
	}
	return l.places[from:to]
}

// firstTime is when something first happened: not before from, and surely by to. Both are
// on the clock of the run, or, in an audit, the number of the entry.
type firstTime struct{ from, to time.Duration }

// notSeen is that of what did not happen.
var notSeen = firstTime{never, never}

// firsts finds when the event of a request first happened at the place, and counts the
// calls that may be anybody's. happens is what a call counts as; see effectOf.
func (p place) firsts(run *evidence.Run, happens func(x *evidence.Exchange) effectCount) (first func(id uint64) firstTime, nameless int) {
	if p.audit != nil {
		ids, _ := p.entries(run)
		listed := listOf(ids)
		return func(id uint64) firstTime {
			at := listed.of(id)
			if len(at) == 0 {
				return notSeen
			}
			return firstTime{time.Duration(at[0]), time.Duration(at[0])}
		}, 0
	}
	for i := range p.link.Exchanges {
		if x := &p.link.Exchanges[i]; x.ID == 0 && happens(x).high > 0 {
			nameless++
		}
	}
	return func(id uint64) firstTime {
		m := notSeen
		for _, at := range p.link.CausedBy(id) {
			x := &p.link.Exchanges[at]
			n := happens(x)
			if n.high > 0 {
				m.from = min(m.from, x.Begin)
			}
			if n.low > 0 {
				m.to = min(m.to, x.End)
			}
		}
		return m
	}, nameless
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
	return x.OwnStatus() != 0 || x.Ending == evidence.CallerGone && x.Faults == 0 && x.Extra().Further == nil
}

// when prints a moment: a time, or the number of an entry.
func (p place) when(at time.Duration) string {
	if p.audit != nil {
		return fmt.Sprintf("as no. %d of audit %s", at+1, p.name)
	}
	return "at " + short(at)
}
