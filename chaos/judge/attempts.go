package judge

import (
	"cmp"
	"iter"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
	"github.com/stormctl/stormctl/load"
)

// call is what one request did over a link for one purpose: a method and a
// path. More than one attempt at the same purpose is a retry, unless the
// system does so even when nothing fails.
type call struct {
	over     *evidence.Link
	attempts []int32 // positions in over.Exchanges, by Begin
	hidden   int32   // further exchanges that the caller's HTTP library may have made by itself, not in attempts
}

// at is the i-th attempt, from 0. It is the run's own and must not be changed.
func (c call) at(i int) *evidence.Exchange { return &c.over.Exchanges[c.attempts[i]] }

// id is that of the request.
func (c call) id() uint64 { return c.at(0).ID }

// last is the last attempt.
func (c call) last() *evidence.Exchange { return c.at(len(c.attempts) - 1) }

// calls are what the requests of a run did over a link, by the requests' ids.
type calls struct {
	over     *evidence.Link
	attempts []int32       // of all calls, one after the other
	ends     []int32       // where in attempts each ends
	hidden   map[int]int32 // of those that have any
}

func (c *calls) len() int { return len(c.ends) }

func (c *calls) get(i int) call {
	from := int32(0)
	if i > 0 {
		from = c.ends[i-1]
	}
	return call{over: c.over, attempts: c.attempts[from:c.ends[i]:c.ends[i]], hidden: c.hidden[i]}
}

func (c *calls) all() iter.Seq[call] {
	return func(yield func(call) bool) {
		for i := range c.ends {
			if !yield(c.get(i)) {
				return
			}
		}
	}
}

// add adds a call of those attempts.
func (c *calls) add(attempts []int32, hidden int32) {
	c.attempts = append(c.attempts, attempts...)
	if hidden > 0 {
		c.hidden[len(c.ends)] = hidden
	}
	c.ends = append(c.ends, int32(len(c.attempts)))
}

// attempted is what claims about the retries of a route over a link have in
// common, whatever it is that they claim.
type attempted struct {
	all       *calls
	anonymous int    // exchanges that carried no id and could not be told apart
	own       *calls // those of requests that came to the link's caller once
	mixed     int    // how many others there are
	quiet     int    // of own, those in which nothing failed before the faults began
	fanned    []uint64
	reused    []bool // see reusedIn
	waits     bool   // see waitsFirst
}

// attemptedOver finds it once for all claims of a run, see callsOf.
func attemptedOver(run *evidence.Run, link *evidence.Link, route string, noise time.Duration) *attempted {
	type key struct {
		link, route string
		noise       time.Duration
	}
	type of struct {
		samples, exchanges, before any
		faults                     int
		first                      time.Duration
	}
	first := firstInjection(run)
	records := of{samples: recordsOf(run.Samples), exchanges: recordsOf(link.Exchanges), faults: len(run.Faults), first: first}
	for _, l := range towards(run, link) {
		records.before = of{exchanges: recordsOf(l.Exchanges), before: records.before}
	}
	return evidence.Memoized(run, key{link.Name, route, noise}, records, func() *attempted {
		var a attempted
		a.all, a.anonymous = callsOf(run, link, route, noise)
		a.own, a.mixed = ofOne(run, link, a.all)
		a.quiet, a.fanned = fanout(a.own, first)
		a.reused = reusedIn(link)
		a.waits = waitsFirst(a.own, a.reused, noise)
		return &a
	})
}

// callsOf groups the exchanges of a link by the request that caused them, for
// one route ("" means all), by the request's id. It returns too how many
// exchanges carried no id and could not be told apart.
//
// A client may repeat by itself, at once, a request whose reused connection
// broke before the first byte of a response: net/http does so for requests
// that may be repeated (transport.go, shouldRetryRequest), and not on a fresh
// connection. Only the last exchange of such a row counts as the attempt. At
// once means two noises: one until the caller learns of the break, one until
// the relay sees the next.
func callsOf(run *evidence.Run, link *evidence.Link, route string, noise time.Duration) (all *calls, anonymous int) {
	byID, reused := link.ByID(), reusedIn(link)
	n, count := 0, 0
	byRequest(run, link, route, func(of []int32) { n, count = n+len(of), count+1 })
	all = &calls{over: link, attempts: make([]int32, 0, n), ends: make([]int32, 0, count), hidden: map[int]int32{}}
	purpose := func(a, b int32) int {
		x, y := &link.Exchanges[a], &link.Exchanges[b]
		return cmp.Or(cmp.Compare(x.Method, y.Method), cmp.Compare(x.Path, y.Path))
	}
	var row []int32
	byRequest(run, link, route, func(of []int32) {
		row = append(row[:0], of...)
		slices.SortStableFunc(row, purpose)
		alike(row, func(a, b int32) bool { return purpose(a, b) == 0 }, func(of []int32) {
			all.add(attemptsOf(link, of, reused, noise))
		})
	})
	return all, len(link.Exchanges) - len(byID)
}

// byRequest calls each with the exchanges of every request of a route.
func byRequest(run *evidence.Run, link *evidence.Link, route string, each func(of []int32)) {
	owns := run.Owns(route)
	same := func(a, b int32) bool { return link.Exchanges[a].ID == link.Exchanges[b].ID }
	alike(link.ByID(), same, func(of []int32) {
		if route != "" {
			if s, ok := run.Sample(link.Exchanges[of[0]].ID); !ok || !owns(s.Route) {
				return
			}
		}
		each(of)
	})
}

// alike calls each with every row of exchanges that are the same.
func alike(list []int32, same func(a, b int32) bool, each func(row []int32)) {
	for len(list) > 0 {
		n := 1
		for n < len(list) && same(list[0], list[n]) {
			n++
		}
		each(list[:n:n])
		list = list[n:]
	}
}

// attemptsOf makes the attempts of a call of its exchanges, in their place.
func attemptsOf(link *evidence.Link, all []int32, reused []bool, noise time.Duration) (attempts []int32, hidden int32) {
	attempts = all[:1]
	for _, i := range all[1:] {
		before := attempts[len(attempts)-1]
		if x := &link.Exchanges[before]; transparent(x, reused[before]) &&
			link.Exchanges[i].Key == x.Key && link.Exchanges[i].Begin-x.End <= 2*noise {
			attempts[len(attempts)-1] = i
			hidden++
		} else {
			attempts = append(attempts, i)
		}
	}
	return attempts, hidden
}

// reusedIn reports of each exchange whether its connection had carried one
// before.
func reusedIn(link *evidence.Link) []bool {
	reused := make([]bool, len(link.Exchanges))
	used := make(map[uint64]bool)
	for i := range link.Exchanges {
		conn := link.Exchanges[i].Conn
		if reused[i] = used[conn]; !reused[i] {
			used[conn] = true
		}
	}
	return reused
}

// transparent reports whether an HTTP library may repeat the exchange by itself.
func transparent(x *evidence.Exchange, reused bool) bool {
	return reused && snapped(x) && (!writes(x) || x.Key != 0)
}

// snapped reports whether the connection broke before the caller got a byte.
func snapped(x *evidence.Exchange) bool {
	return x.Status == 0 && (x.Ending == evidence.Broken || x.Ending == evidence.Failed)
}

// writes reports whether repeating the exchange may have a second effect:
// POST and PATCH are not idempotent (RFC 9110 §9.2.2).
func writes(x *evidence.Exchange) bool {
	return x.Method == http.MethodPost || x.Method == http.MethodPatch
}

// seenStatus is the status that the caller saw; 0 for a network error or a
// timeout.
func seenStatus(x *evidence.Exchange) int {
	if x.Ending == evidence.Answered || x.Ending == evidence.Injected {
		return x.Status
	}
	return 0
}

// succeeded reports whether the caller has no reason to try again.
func succeeded(x *evidence.Exchange) bool { return seenStatus(x) > 0 && seenStatus(x) < 400 }

// ofOne leaves out the calls of requests that came to the link's caller more
// than once: delivered twice by a fault, or repeated by its caller. Each of
// them makes calls of its own under the same id, which are no attempts at one.
// It returns too how many it left out.
func ofOne(run *evidence.Run, link *evidence.Link, all *calls) (own *calls, mixed int) {
	before := towards(run, link)
	if len(before) == 0 {
		return all, 0
	}
	twice := func(c call) bool {
		arrived := 0
		for _, l := range before {
			arrived += arrivedOver(run, l, c.id())
		}
		return arrived >= 2
	}
	for c := range all.all() {
		if twice(c) {
			mixed++
		}
	}
	if mixed == 0 {
		return all, 0
	}
	own = &calls{over: link, hidden: map[int]int32{}}
	for c := range all.all() {
		if !twice(c) {
			own.add(c.attempts, c.hidden)
		}
	}
	return own, mixed
}

// towards lists the links over which requests come to a link's caller, by name.
func towards(run *evidence.Run, link *evidence.Link) (before []*evidence.Link) {
	for _, name := range slices.Sorted(maps.Keys(run.Links)) {
		if l := run.Links[name]; l != nil && l != link && l.To == link.From {
			before = append(before, l)
		}
	}
	return before
}

// arrivedOver is how many times a request came over a link.
func arrivedOver(run *evidence.Run, l *evidence.Link, id uint64) int {
	n := 0
	for _, i := range l.CausedBy(id) {
		x := &l.Exchanges[i]
		if x.Ending == evidence.Injected {
			continue // it did not get there
		}
		n++
		for f := range run.Hits(x) {
			if f.Does().Duplicates {
				n++ // it was delivered twice
			}
		}
	}
	return n
}

// fanout looks at calls in which nothing failed: quiet is how many there were
// before the faults began, and fanned lists those that nevertheless made more
// than one exchange. With such calls, attempts cannot be told from design.
func fanout(all *calls, before time.Duration) (quiet int, fanned []uint64) {
	for c := range all.all() {
		if c.at(0).Begin >= before || slices.ContainsFunc(c.attempts, func(i int32) bool { return !succeeded(&c.over.Exchanges[i]) }) {
			continue
		}
		quiet++
		if len(c.attempts) > 1 {
			fanned = append(fanned, c.id())
		}
	}
	return quiet, fanned
}

// Why attempts cannot be told apart.
const (
	noIDs = "attempts cannot be told apart: none of %d calls on %s carries a request id." +
		" The system must pass on X-Request-Id or traceparent"
	fannedOut = "attempts cannot be told apart: %d of %d requests made several calls over %s for the same path" +
		" even when nothing failed; name a route that makes one"
)

// quietBefore is how many calls without a failure it takes to say that the
// system makes one exchange per call when nothing fails.
const quietBefore = 20

// firstInjection is when the first fault of the run came into force, whatever
// it was on; the end of the run if none did.
func firstInjection(run *evidence.Run) time.Duration {
	first := run.End
	for _, f := range run.Faults {
		if f.Injected >= 0 {
			first = min(first, f.Injected)
		}
	}
	return first
}

// unfinished reports whether a fault on the path of a link was planned but is
// not in the evidence because the run was cut.
func unfinished(run *evidence.Run, links ...string) bool {
	return run.Partial && slices.ContainsFunc(run.Faults, func(f evidence.Injection) bool {
		return Links(links).onPath(run, f) && (f.Injected < 0 || f.Healed < 0)
	})
}

// callers returns the requests of a route; for "", those of all routes whose
// requests call over the link.
func callers(run *evidence.Run, link *evidence.Link, route string) arrivals {
	if route != "" {
		own, _ := samplesOf(run, route)
		return own
	}
	uses := make(map[int]bool)
	for i := range link.Exchanges {
		if s, ok := run.Sample(link.Exchanges[i].ID); ok && s.ID > 0 {
			uses[s.Route] = true
		}
	}
	return every(run.Samples).where(func(s *load.Sample) bool { return uses[s.Route] })
}

// hitOf counts the exchanges of a link that a fault on its path touched.
func hitOf(link *evidence.Link, spans []span) int {
	n := 0
	for i := range link.Exchanges {
		if slices.ContainsFunc(spans, func(s span) bool { return s.hit(&link.Exchanges[i]) }) {
			n++
		}
	}
	return n
}
