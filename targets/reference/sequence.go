package reference

import (
	"maps"
	"slices"
	"time"
)

// sequence puts events in the order in which the broker numbered them: one that comes while an earlier
// one is missing is held until that has come.
type sequence struct {
	next  uint64           // number of the event that is to come
	held  map[uint64]event // those that came before their turn
	since time.Time        // since when next has been missing; zero while nothing is held
}

func newSequence(next uint64) *sequence { return &sequence{next: next, held: map[uint64]event{}} }

// take returns what has its turn now that an event has come. One that comes again is passed on: whether it
// was applied is not for the order to say.
func (s *sequence) take(e event, now time.Time) []event {
	if e.seq < s.next {
		return []event{e}
	}
	s.held[e.seq] = e
	return s.release(now)
}

// skip gives up the events before one that have not come, and returns what has its turn then.
func (s *sequence) skip(first uint64, now time.Time) (turn []event) {
	for _, seq := range slices.Sorted(maps.Keys(s.held)) {
		if seq < first {
			turn = append(turn, s.held[seq])
			delete(s.held, seq)
		}
	}
	s.next = max(s.next, first)
	return append(turn, s.release(now)...)
}

// missing is since when an event has been missing that others wait for; false if none is.
func (s *sequence) missing() (since time.Time, waits bool) { return s.since, !s.since.IsZero() }

func (s *sequence) release(now time.Time) (turn []event) {
	for {
		e, there := s.held[s.next]
		if !there {
			break
		}
		delete(s.held, s.next)
		s.next++
		turn = append(turn, e)
	}
	switch {
	case len(s.held) == 0:
		s.since = time.Time{}
	case len(turn) > 0 || s.since.IsZero():
		s.since = now
	}
	return turn
}

// acknowledgements are sent in the order of the numbers: each of them speaks for all events before it, so that
// one that was lost is made good by the next.
type acknowledgements struct {
	next uint64            // the first event that is not done
	done map[uint64]func() // later ones that are, with what acknowledges them
}

func newAcknowledgements(next uint64) *acknowledgements {
	return &acknowledgements{next: next, done: map[uint64]func(){}}
}

// finish acknowledges an event once all before it are done.
func (a *acknowledgements) finish(seq uint64, ack func()) {
	if seq < a.next {
		ack() // that of its earlier delivery may have been lost
		return
	}
	a.done[seq] = ack
	a.advance()
}

// skip takes all events before one for done.
func (a *acknowledgements) skip(first uint64) {
	for ; a.next < first; a.next++ {
		delete(a.done, a.next)
	}
	a.advance()
}

func (a *acknowledgements) advance() {
	for {
		ack, done := a.done[a.next]
		if !done {
			return
		}
		delete(a.done, a.next)
		a.next++
		ack()
	}
}
