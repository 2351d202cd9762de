package judge

import (
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
	attempts []evidence.Exchange // by Begin
	hidden   int                 // further exchanges that the caller's HTTP library made by itself, not in attempts
	reused   bool                // the last attempt went over a connection that had carried an exchange before
}

// callsOf groups the exchanges of a link by the request that caused them, for
// one route ("" means all), in order of the first attempt. It returns too how
// many exchanges carried no id and could not be told apart.
//
// A client may repeat by itself, at once, a request whose reused connection
// broke before the first byte of a response: net/http does so for requests
// that may be repeated (transport.go, shouldRetryRequest), and not on a fresh
// connection. Only the last exchange of such a row counts as the attempt:
// nothing between them was the retry policy's doing. At once means two noises:
// one until the caller learns of the break, one until the relay sees the next.
func callsOf(run *evidence.Run, link *evidence.Link, route string, noise time.Duration) (calls []call, anonymous int) {
	own, _ := frontOf(run, route)
	front := sampleByID(own)
	type purpose struct {
		id           uint64
		method, path string
	}
	index := make(map[purpose]int)
	used := make(map[uint64]bool) // connections that carried an exchange before
	for _, x := range link.Exchanges {
		reused := used[x.Conn]
		used[x.Conn] = true
		if x.ID == 0 {
			anonymous++
			continue
		}
		if _, ok := front[x.ID]; !ok && route != "" {
			continue
		}
		p := purpose{x.ID, x.Method, x.Path}
		i, ok := index[p]
		if !ok {
			i = len(calls)
			index[p] = i
			calls = append(calls, call{id: x.ID})
		}
		c := &calls[i]
		if n := len(c.attempts); n > 0 && transparent(c.attempts[n-1], c.reused) && x.Begin-c.attempts[n-1].End <= 2*noise {
			c.attempts[n-1] = x
			c.hidden++
		} else {
			c.attempts = append(c.attempts, x)
		}
		c.reused = reused
	}
	return calls, anonymous
}

// transparent tells whether an HTTP library may repeat the exchange by itself.
func transparent(x evidence.Exchange, reused bool) bool {
	return reused && snapped(x) && (!writes(x) || x.Key != 0)
}

// snapped tells whether the connection broke before the caller got a byte.
func snapped(x evidence.Exchange) bool {
	return x.Status == 0 && (x.Ending == evidence.Broken || x.Ending == evidence.Failed)
}

// writes tells whether repeating the exchange may have a second effect:
// POST and PATCH are not idempotent (RFC 9110 §9.2.2).
func writes(x evidence.Exchange) bool {
	return x.Method == http.MethodPost || x.Method == http.MethodPatch
}

// came returns what the caller was told: a status, or 0 for a network error or
// a timeout.
func came(x evidence.Exchange) int {
	if x.Ending == evidence.Answered || x.Ending == evidence.Injected {
		return x.Status
	}
	return 0
}

// succeeded tells whether the caller has no reason to try again.
func succeeded(x evidence.Exchange) bool { return came(x) > 0 && came(x) < 400 }

// ofOne leaves out the calls of requests that came to the link's caller more
// than once: delivered twice by a fault, or repeated by who called it. Each of
// them makes calls of its own under the same id, which are no attempts at one.
// It returns too how many it left out.
func ofOne(run *evidence.Run, link *evidence.Link, calls []call) (own []call, mixed int) {
	twice := map[int]bool{} // faults that deliver requests twice
	for _, f := range run.Faults {
		twice[f.Index] = f.Kind == "duplicate"
	}
	came := map[uint64]int{}
	for _, l := range run.Links {
		if l == nil || l == link || l.To != link.From {
			continue
		}
		for _, x := range l.Exchanges {
			if x.Ending == evidence.Injected {
				continue // it did not get there
			}
			came[x.ID]++
			for i, is := range twice {
				if is && x.HitBy(i) {
					came[x.ID]++
				}
			}
		}
	}
	for _, c := range calls {
		if came[c.id] < 2 {
			own = append(own, c)
		}
	}
	return own, len(calls) - len(own)
}

// hearing knows of which answers a caller may have had no use, although the
// link passed them on whole: those that a fault has spoilt or made up, whose
// body may say that the call failed whatever the status; and those that it
// held up for as long as the callers were seen to wait. Such a caller gives up
// while the answer is on its way to it.
type hearing struct {
	run    *evidence.Run
	faults []evidence.Injection
	waited []time.Duration // how long callers waited until they left, ordered
	within time.Duration   // how near to one of them a duration is the same
}

// hearingOf reads link, which is what the links of a claim saw.
func hearingOf(run *evidence.Run, links Links, link *evidence.Link, noise time.Duration) hearing {
	h := hearing{run: run, within: noise}
	for _, f := range run.Faults {
		if links.onPath(run, f) {
			h.faults = append(h.faults, f)
		}
	}
	for _, x := range link.Exchanges {
		if x.Ending == evidence.CallerGone {
			h.waited = append(h.waited, x.Duration())
		}
	}
	slices.Sort(h.waited)
	return h
}

// unsure tells whether the caller may not have had this answer.
func (h hearing) unsure(x evidence.Exchange) bool {
	if x.Ending == evidence.Injected {
		return true
	}
	touched := false
	for _, f := range h.faults {
		if !f.Touched(x) {
			continue
		}
		touched = true
		switch f.Kind {
		case "corrupt", "reset", "truncate":
			return true
		}
	}
	i, _ := slices.BinarySearch(h.waited, x.Duration()-h.within)
	return touched && i < len(h.waited) && h.waited[i] <= x.Duration()+h.within
}

// surely tells whether the caller had the answer when it began its next attempt:
// it cannot have given up on it, because it was seen to wait for longer than the
// answer can have taken to reach it, or because nothing kept it from reading it.
func (h hearing) surely(x evidence.Exchange, next time.Duration) bool {
	noise := h.run.Noise(x.Begin, next)
	if len(h.waited) == 0 {
		return noise <= gaveUpUnseen
	}
	return noise <= gaveUpUnseen || x.Duration()+noise < h.waited[0]
}

// fanout looks at calls in which nothing failed: quiet is how many there were
// before the faults began, and fanned lists those that nevertheless made more
// than one exchange. With such calls, attempts cannot be told from design.
func fanout(calls []call, before time.Duration) (quiet int, fanned []uint64) {
	for _, c := range calls {
		if c.attempts[0].Begin >= before || slices.ContainsFunc(c.attempts, func(x evidence.Exchange) bool { return !succeeded(x) }) {
			continue
		}
		quiet++
		if len(c.attempts) > 1 {
			fanned = append(fanned, c.id)
		}
	}
	return quiet, fanned
}

// quietBefore is how many calls without a failure it takes to say that the
// system makes one exchange per call when nothing fails.
const quietBefore = 20

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
