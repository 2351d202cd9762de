package judge

import (
	"cmp"
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
	id       uint64
	over     *evidence.Link
	attempts []int32 // positions in over.Exchanges, by Begin
	hidden   int32   // further exchanges that the caller's HTTP library may have made by itself, not in attempts
}

// at is the i-th attempt, from 0. It is the run's own and must not be changed.
func (c call) at(i int) *evidence.Exchange { return &c.over.Exchanges[c.attempts[i]] }

// last is the last attempt.
func (c call) last() *evidence.Exchange { return c.at(len(c.attempts) - 1) }

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
func callsOf(front arrivals, link *evidence.Link, route string, noise time.Duration) (calls []call, anonymous int) {
	own, anonymous := front.own(link, route)
	purpose := func(a, b int32) int {
		x, y := &link.Exchanges[a], &link.Exchanges[b]
		return cmp.Or(cmp.Compare(x.ID, y.ID), cmp.Compare(x.Method, y.Method), cmp.Compare(x.Path, y.Path))
	}
	slices.SortFunc(own, func(a, b int32) int { return cmp.Or(purpose(a, b), cmp.Compare(a, b)) })
	count := 0
	for i := range own {
		if i == 0 || purpose(own[i-1], own[i]) != 0 {
			count++
		}
	}
	reused := reusedIn(link)
	calls = make([]call, 0, count)
	for len(own) > 0 {
		n := 1
		for n < len(own) && purpose(own[0], own[n]) == 0 {
			n++
		}
		calls = append(calls, callOf(link, own[:n:n], reused, noise))
		own = own[n:]
	}
	return calls, anonymous
}

// own lists the exchanges of a route's requests, and counts those of nobody's.
func (r arrivals) own(link *evidence.Link, route string) (own []int32, anonymous int) {
	owner := slices.Index(r.run.Routes, route)
	own = make([]int32, 0, len(link.Exchanges))
	for i := range link.Exchanges {
		x := &link.Exchanges[i]
		if x.ID == 0 {
			anonymous++
			continue
		}
		if route != "" {
			if s, ok := r.sample(x.ID); !ok || s.Route != owner {
				continue
			}
		}
		own = append(own, int32(i))
	}
	return own, anonymous
}

// callOf makes a call of exchanges, in their place.
func callOf(link *evidence.Link, all []int32, reused []bool, noise time.Duration) call {
	c := call{id: link.Exchanges[all[0]].ID, over: link, attempts: all[:1]}
	for _, i := range all[1:] {
		before := c.attempts[len(c.attempts)-1]
		if x := &link.Exchanges[before]; transparent(x, reused[before]) && link.Exchanges[i].Begin-x.End <= 2*noise {
			c.attempts[len(c.attempts)-1] = i
			c.hidden++
		} else {
			c.attempts = append(c.attempts, i)
		}
	}
	return c
}

// reusedIn reports of each exchange whether its connection had carried one
// before.
func reusedIn(link *evidence.Link) []bool {
	reused := make([]bool, len(link.Exchanges))
	used := make(map[uint64]bool)
	for i := range link.Exchanges {
		conn := link.Exchanges[i].Conn
		reused[i] = used[conn]
		used[conn] = true
	}
	return reused
}

// arrivals finds samples by their id.
type arrivals struct {
	run *evidence.Run
	at  map[uint64]int32 // positions in Front
}

func frontByID(run *evidence.Run) arrivals {
	r := arrivals{run, make(map[uint64]int32, len(run.Front))}
	for i := range run.Front {
		r.at[run.Front[i].ID] = int32(i)
	}
	return r
}

// sample reports whether there is a request with the id.
func (r arrivals) sample(id uint64) (*load.Sample, bool) {
	i, ok := r.at[id]
	if !ok {
		return nil, false
	}
	return &r.run.Front[i], true
}

// transparent tells whether an HTTP library may repeat the exchange by itself.
func transparent(x *evidence.Exchange, reused bool) bool {
	return reused && snapped(x) && (!writes(x) || x.Key != 0)
}

// snapped tells whether the connection broke before the caller got a byte.
func snapped(x *evidence.Exchange) bool {
	return x.Status == 0 && (x.Ending == evidence.Broken || x.Ending == evidence.Failed)
}

// writes tells whether repeating the exchange may have a second effect:
// POST and PATCH are not idempotent (RFC 9110 §9.2.2).
func writes(x *evidence.Exchange) bool {
	return x.Method == http.MethodPost || x.Method == http.MethodPatch
}

// came returns what the caller was told: a status, or 0 for a network error or
// a timeout.
func came(x *evidence.Exchange) int {
	if x.Ending == evidence.Answered || x.Ending == evidence.Injected {
		return x.Status
	}
	return 0
}

// succeeded tells whether the caller has no reason to try again.
func succeeded(x *evidence.Exchange) bool { return came(x) > 0 && came(x) < 400 }

// ofOne leaves out the calls of requests that came to the link's caller more
// than once: delivered twice by a fault, or repeated by who called it. Each of
// them makes calls of its own under the same id, which are no attempts at one.
// It returns too how many it left out.
func ofOne(run *evidence.Run, link *evidence.Link, calls []call) (own []call, mixed int) {
	twice := map[int]bool{} // faults that deliver requests twice
	for _, f := range run.Faults {
		if f.Kind == "duplicate" {
			twice[f.Index] = true
		}
	}
	came := map[uint64]int{}
	for _, l := range run.Links {
		if l == nil || l == link || l.To != link.From {
			continue
		}
		for i := range l.Exchanges {
			x := &l.Exchanges[i]
			if x.Ending == evidence.Injected {
				continue // it did not get there
			}
			came[x.ID]++
			for f := range twice {
				if x.HitBy(f) {
					came[x.ID]++
				}
			}
		}
	}
	for _, n := range came {
		mixed = max(mixed, n)
	}
	if mixed < 2 {
		return calls, 0
	}
	for _, c := range calls {
		if came[c.id] < 2 {
			own = append(own, c)
		}
	}
	return own, len(calls) - len(own)
}

// fanout looks at calls in which nothing failed: quiet is how many there were
// before the faults began, and fanned lists those that nevertheless made more
// than one exchange. With such calls, attempts cannot be told from design.
func fanout(calls []call, before time.Duration) (quiet int, fanned []uint64) {
	for _, c := range calls {
		if c.at(0).Begin >= before || slices.ContainsFunc(c.attempts, func(i int32) bool { return !succeeded(&c.over.Exchanges[i]) }) {
			continue
		}
		quiet++
		if len(c.attempts) > 1 {
			fanned = append(fanned, c.id)
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

// unfinished tells whether a fault on the path of a link was planned but is
// not in the evidence because the run was cut.
func unfinished(run *evidence.Run, links ...string) bool {
	return run.Partial && slices.ContainsFunc(run.Faults, func(f evidence.Injection) bool {
		return Links(links).onPath(run, f) && (f.Injected < 0 || f.Healed < 0)
	})
}

// callers returns the requests of a route; for "", those of all routes whose
// requests call over the link.
func callers(run *evidence.Run, link *evidence.Link, route string) []load.Sample {
	if route != "" {
		own, _ := frontOf(run, route)
		return own
	}
	front := sampleByID(run.Front)
	uses := make(map[int]bool)
	for _, x := range link.Exchanges {
		if s, ok := front[x.ID]; ok && x.ID > 0 {
			uses[s.Route] = true
		}
	}
	var own []load.Sample
	for _, s := range run.Front {
		if uses[s.Route] {
			own = append(own, s)
		}
	}
	return own
}

// hitOf counts the exchanges of a link that a fault on its path touched.
func hitOf(link *evidence.Link, spans []span) int {
	n := 0
	for _, x := range link.Exchanges {
		if slices.ContainsFunc(spans, func(s span) bool { return s.hit(x) }) {
			n++
		}
	}
	return n
}
