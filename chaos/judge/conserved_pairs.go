package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stormctl/stormctl/chaos/evidence"
)

// step is what became of one step of one request.
type step struct {
	did, undid  effectCount
	first, last time.Duration // of the calls of both that had, or may have had, an effect; never and ever if there were none

	doing   time.Duration // when the first do began, of those
	doneBy  time.Duration // by when the last do had its effect, if it had one
	undoing stretch       // of the last undo
}

// noCallsYet is a step that nothing was called of.
func noCallsYet() step {
	return step{first: never, last: ever, doing: never, doneBy: ever, undoing: stretch{ever, ever}}
}

// take takes in a call. Others of its link took so long at most until they were answered: what took effect and was
// answered in vain, of which the link does not know when, did no later; one that was not answered at all may have
// had its effect as much after it ended.
func (s *step) take(x *evidence.Exchange, does bool, longest time.Duration) {
	s.first, s.last = min(s.first, x.Begin), max(s.last, x.End)
	if !does {
		if x.Begin > s.undoing.from {
			s.undoing = stretch{x.Begin, x.End}
		}
		return
	}
	by := x.End
	switch {
	case x.OwnStatus() == 0:
		by += longest
	case x.Own != 0:
		by = min(by, x.Begin+longest)
	}
	s.doing, s.doneBy = min(s.doing, x.Begin), max(s.doneBy, by)
}

// inTurn reports whether what undoes came after what was done: surely, or perhaps. An undo that comes before does nothing.
func (s *step) inTurn() (surely, perhaps bool) {
	if s.did.high == 0 || s.undid.high == 0 {
		return true, true
	}
	return s.undoing.from >= s.doneBy, s.undoing.to >= s.doing || s.did.low == 0
}

// longestAnswer is how long calls over a link took at most until they were answered.
func longestAnswer(link *evidence.Link) (longest time.Duration) {
	for i := range link.Exchanges {
		if x := &link.Exchanges[i]; x.Ending == evidence.Answered {
			longest = max(longest, x.Duration())
		}
	}
	return longest
}

// saga is what became of one request.
type saga struct {
	id    uint64
	steps []step
}

// parsePair splits a call into its method and path; it is false if it is none.
func parsePair(call string) (method, path string, ok bool) {
	method, path, ok = strings.Cut(call, " ")
	return method, path, ok && method != "" && strings.HasPrefix(path, "/")
}

// callOf makes out of a call of a pair which exchanges are it.
func callOf(call string) func(x *evidence.Exchange) bool {
	method, path, _ := parsePair(call)
	if begins, is := strings.CutSuffix(path, "*"); is {
		return func(x *evidence.Exchange) bool { return x.Method == method && strings.HasPrefix(x.Path, begins) }
	}
	return func(x *evidence.Exchange) bool { return x.Method == method && x.Path == path }
}

// sagas are those of the route that called for a step, by id.
func (c Conserved) sagas(run *evidence.Run) (all []saga, nameless int, missing string) {
	requests, _ := samplesOf(run, c.Route)
	by := map[uint64]int{}
	for i, p := range c.Pairs {
		link := run.Links[p.At]
		if link == nil {
			return nil, 0, p.At
		}
		is, undoes, longest := callOf(p.Do), callOf(p.Undo), longestAnswer(link)
		did := Effects{Keys: c.Keys}.ledgerOf(run, link, is)
		undid := Effects{Keys: c.Keys}.ledgerOf(run, link, undoes)
		nameless += did.nameless + undid.nameless
		for k := range link.Exchanges {
			x := &link.Exchanges[k]
			if x.ID == 0 || !is(x) && !undoes(x) || effectOf(run, x).high == 0 {
				continue
			}
			n, known := by[x.ID]
			if !known {
				n = len(all)
				by[x.ID] = n
				all = append(all, saga{id: x.ID, steps: make([]step, len(c.Pairs))})
				for j := range all[n].steps {
					all[n].steps[j] = noCallsYet()
				}
			}
			s := &all[n].steps[i]
			if s.first == never {
				s.did, s.undid = did.by(x.ID), undid.by(x.ID)
			}
			s.take(x, is(x), longest)
		}
	}
	if c.Route != "" {
		own := map[uint64]bool{}
		for _, s := range requests.all() {
			own[s.ID] = true
		}
		all = slices.DeleteFunc(all, func(s saga) bool { return !own[s.id] })
	}
	return all, nameless, ""
}

// whole reports whether all steps were done once and none undone: surely, or perhaps.
func (s *saga) whole() (surely, perhaps bool) {
	surely, perhaps = true, true
	for i := range s.steps {
		x := &s.steps[i]
		surely = surely && x.did == effectCount{1, 1} && x.undid.high == 0
		perhaps = perhaps && x.did.high >= 1 && x.did.low <= 1 && x.undid.low == 0
	}
	return surely, perhaps
}

// undone reports whether each step that was done was then undone as often: surely, or perhaps. One that was
// not done may be undone once, by a caller who does not know; that does nothing.
func (s *saga) undone() (surely, perhaps bool) {
	surely, perhaps = true, true
	for i := range s.steps {
		x := &s.steps[i]
		after, mayBe := x.inTurn()
		surely = surely && after && x.undid.low >= x.did.high && x.undid.high <= max(x.did.low, 1)
		perhaps = perhaps && mayBe && x.undid.high >= x.did.low && x.undid.low <= max(x.did.high, 1)
	}
	return surely, perhaps
}

// reached is how many steps were done, at least perhaps, before it was left off.
func (s *saga) reached() (n int) {
	for i := range s.steps {
		if s.steps[i].did.high > 0 {
			n++
		}
	}
	return n
}

// halfway reports whether it was left off: not all steps were done, or one was undone.
func (s *saga) halfway() bool {
	return s.reached() > 0 && slices.ContainsFunc(s.steps, func(x step) bool { return x.did.low == 0 || x.undid.high > 0 })
}

// broken says what is wrong with it.
func (s *saga) broken(pairs []Pair) string {
	var texts []string
	for i := range s.steps {
		if x := &s.steps[i]; x.did.high > 0 || x.undid.high > 0 {
			text := fmt.Sprintf("%s %s, %s %s", pairs[i].Do, often(int(x.did.low)), pairs[i].Undo, often(int(x.undid.low)))
			if _, mayBe := x.inTurn(); !mayBe {
				text += " before"
			}
			texts = append(texts, text)
		} else {
			texts = append(texts, pairs[i].Do+" never")
		}
	}
	return strings.Join(texts, "; ")
}

// judgePairs rules on how many requests are neither whole nor undone.
func (c Conserved) judgePairs(f *finding) {
	var at Links
	for _, p := range c.Pairs {
		if !slices.Contains(at, p.At) {
			at = append(at, p.At)
		}
	}
	f.over(at...)
	all, nameless, missing := c.sagas(f.run)
	switch {
	case missing != "":
		f.open("pairs", noLink, missing)
		return
	case len(all) == 0 && nameless > 0:
		f.open("pairs", "no call carries the id of a request: let the system pass on X-Request-Id or traceparent")
		return
	case len(all) == 0:
		f.open("pairs", "no request called for %s: is it what the system calls?", c.Pairs[0].Do)
		return
	}
	var bad []saga
	unsure, done, halfway := 0, 0, make([]int, len(c.Pairs)+1)
	for i := range all {
		s := &all[i]
		whole, mayWhole := s.whole()
		undone, mayUndone := s.undone()
		switch {
		case !mayWhole && !mayUndone:
			bad = append(bad, *s)
		case whole:
			done++
		case !undone:
			unsure++
		}
		if s.halfway() {
			halfway[s.reached()]++
		}
	}
	f.numbers.Add("requests", float64(len(all)))
	f.numbers.Add("whole", float64(done))
	f.numbers.Add("neither", float64(len(bad)))
	if f.run.Partial { // what was on its way may have come to its end
		bad, unsure = nil, unsure+len(bad)
	}
	m := measure{name: "pairs", seen: interval(max(0, len(bad)-nameless), len(bad)+unsure+nameless), allowed: atMost(0), sample: len(all),
		says:   fmt.Sprintf("all of %s did every step, or undid each that they did", were(len(all), "request", "requests")),
		hidden: were(unsure+nameless, "request", "requests") + " of which it is not known which steps took effect",
		settle: "a fault that lets the dependency answer, as drop_response does, and keys, would tell"}
	for i := range bad {
		m.ids = append(m.ids, bad[i].id)
	}
	if len(bad) > 0 {
		first := slices.MinFunc(bad, func(a, b saga) int { return cmp.Compare(a.id, b.id) })
		m.refutes = fmt.Sprintf("%d of %s are neither done nor undone: request %d called %s",
			len(bad), were(len(all), "request", "requests"), first.id, first.broken(c.Pairs))
	}
	f.rule(m)
	c.judgeHalfway(f, halfway)
	if c.Within > 0 {
		c.judgeSagaWithin(f, all)
	}
}

// judgeHalfway asks for requests that were left off halfway, and tells behind which step.
func (c Conserved) judgeHalfway(f *finding, halfway []int) {
	n := 0
	var texts []string
	for k := 1; k < len(halfway); k++ {
		n += halfway[k]
		f.numbers.Add(fmt.Sprintf("left_off_after_%d", k), float64(halfway[k]))
		texts = append(texts, fmt.Sprintf("%d after %s", halfway[k], c.Pairs[k-1].Do))
	}
	if n < leastHalfway {
		f.open("tested", "only %s left off halfway, and at least %d are needed: fail a step, or kill what makes them, for longer",
			were(n, "request was", "requests were"), leastHalfway)
		return
	}
	f.remark("tested", "%s left off halfway: %s", were(n, "request was", "requests were"), strings.Join(texts, ", "))
}

// judgeSagaWithin rules on the longest time until all of a request was done or undone.
func (c Conserved) judgeSagaWithin(f *finding, all []saga) {
	spans := episodes(f.run, 0, func(evidence.Injection) bool { return true })
	longest, noise, n := time.Duration(0), time.Duration(0), 0
	var ids []uint64
	for i := range all {
		s := &all[i]
		whole, _ := s.whole()
		undone, _ := s.undone()
		if !whole && !undone {
			continue // the matter of pairs
		}
		n++
		from, to := never, ever
		for _, x := range s.steps {
			from, to = min(from, x.first), max(to, x.last)
		}
		for _, x := range spans {
			if x.to > from && x.to <= to {
				from = x.to
			}
		}
		if to-from > c.Within {
			ids = append(ids, s.id)
		}
		if to-from > longest {
			longest, noise = to-from, f.run.Noise(from, to)
		}
	}
	if n == 0 {
		f.open("within", "no request is known to be done or undone")
		return
	}
	f.numbers.AddTime("longest", longest)
	f.rule(measure{name: "within", unit: timed, seen: exactly(longest).widened(float64(noise), float64(noise)), allowed: atMost(c.Within),
		sample: n, ids: ids, hidden: noiseText(noise),
		says: fmt.Sprintf("of %s, the longest took %s until all was done or undone", were(n, "request", "requests"), short(longest))})
}
